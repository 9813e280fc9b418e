"""Two schedulers with tokens on one Redis: what a token may have is one bound over both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import pytest

from tests.e2e.processes import TONE, wait_until
from tests.e2e.secured import Keys, Secured
from tests.servers import redis_server

JOBS_MAX = 8
FLAGS = (
    *("--jobs", "redis", "--partitions", "4", "--scheduler-lease-s", "2", "--waiting-timeout-s", "600"),
    *("--order", "fair", "--jobs-max", str(JOBS_MAX)),
)


class Two(NamedTuple):
    """Schedulers A and B with the same tokens."""

    a: Secured
    b: Secured

    def submit(self, number: int, who: str, pair: str = "en:en") -> tuple[int, str]:
        """Submit job `number` of `who` at A or B by turns; return the status and the reason of a refusal."""
        answer = self[number % 2].ask(
            who,
            "POST",
            f"/v1/jobs?pair={pair}&request_id=r{number}",
            content=TONE,
            headers={"content-type": "audio/wav"},
        )
        return answer.status_code, answer.json().get("reason", "")


@pytest.fixture
def two(folder: Path) -> Iterator[Two]:
    keys = Keys(folder)
    with redis_server() as server:
        two = Two(*(Secured(folder, keys, *FLAGS, name=name, store=server.url, patience_s=60) for name in "ab"))
        yield two
        for one in two:
            assert one.stop() == 0 and one.events("scheduler_failed") == []


def test_a_token_has_its_part_of_the_jobs_of_both(two: Two) -> None:
    half = JOBS_MAX // 2
    assert [two.submit(number, "ann")[0] for number in range(half)] == [202] * half
    for number in (half, half + 1):
        assert two.submit(number, "ann") == (503, "share")
    assert two.submit(0, "bob")[0] == two.submit(1, "bob")[0] == 202


def test_the_list_has_the_jobs_of_both(two: Two) -> None:
    """Each caller sees its own, at either scheduler, in pages, the newest first; an admin sees all."""
    pairs = ("aa:en", "bb:en", "cc:en", "dd:en", "ee:en")
    for number, pair in enumerate(pairs):
        assert two.submit(number, "ann" if number % 2 else "bob", pair)[0] == 202
    in_order = [f"r{number}" for number in reversed(range(len(pairs)))]
    for one in two:
        assert listed(one, "root", limit=2) == in_order
        assert listed(one, "root", limit=1000) == in_order
        assert listed(one, "ann", limit=1) == ["r3", "r1"]
        assert listed(one, "bob", limit=1000) == ["r4", "r2", "r0"]
        totals = [one.ask(who, "GET", "/v1/jobs?limit=1").json()["total"] for who in ("root", "ann")]
        assert totals == [len(pairs), None], "how many jobs a token has at all schedulers is not known"
    job_id = two.a.ask("root", "GET", "/v1/jobs?limit=1").json()["jobs"][0]["job_id"]
    assert two.b.ask("bob", "DELETE", f"/v1/jobs/{job_id}").status_code == 200
    wait_until(lambda: listed(two.a, "root", state="cancelled") == ["r4"])
    assert listed(two.a, "root", limit=1, state="waiting") == in_order[1:]
    for cursor in ("", "7", "0.0.0", "0.0.0.x", "0.0.0.0.0"):
        refused = two.a.ask("root", "GET", f"/v1/jobs?cursor={cursor}")
        assert (refused.status_code, refused.json()["reason"]) == (422, "bad_cursor")


def listed(scheduler: Secured, who: str, **query: object) -> list[str]:
    """Return the request ids of all pages of the list that `who` gets."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = scheduler.ask(who, "GET", f"/v1/jobs?{urlencode({**query, **cursor})}").json()
        found += [job["request_id"] for job in page["jobs"]]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}
