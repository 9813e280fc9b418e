"""Two schedulers with tokens on one Redis: what a token may have is one bound over both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.processes import TONE
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
