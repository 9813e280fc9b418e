"""Whose jobs wait, from outside: admins see it, nobody else does; a job's own client sees its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.command_line import voxpool_here
from tests.e2e.processes import TONE
from tests.e2e.secured import Keys, Secured

JOBS_IN_REDIS_TOO = True

PAIR = "en:en"
JOBS = (("ann", 5), ("ann", 5), ("ann", 5), ("bob", 1))


@pytest.fixture(scope="module")
def fair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A scheduler with fair order and tokens, on which three jobs of ann (priority 5) and one of bob wait."""
    folder = tmp_path_factory.mktemp("fair")
    patience = ("--no-node-grace-s", "600", "--waiting-timeout-s", "600")
    scheduler = Secured(folder, Keys(folder), "--order", "fair", *patience)
    for who, priority in JOBS:
        query = {"pair": PAIR, "priority": priority}
        assert scheduler.ask(who, "POST", "/v1/jobs", params=query, content=TONE).status_code == 202
    yield scheduler
    assert scheduler.stop() == 0


def waiting(scheduler: Secured, query: str = "") -> dict[str, Any]:
    """Return what an admin sees."""
    found: dict[str, Any] = scheduler.ask("root", "GET", f"/v1/waiting{query}").json()
    return found


def test_an_admin_sees_the_keys_with_most_waiting_jobs(fair: Secured) -> None:
    found = waiting(fair)
    assert (found["waiting"], found["keys"]) == (4, 2)
    assert [(one["priority"], one["waiting"]) for one in found["priorities"]] == [
        (1, 1),
        (2, 0),
        (3, 0),
        (4, 0),
        (5, 3),
    ]
    assert found["top"] == [
        {"key": "ann", "waiting": 3, "part": 0.75, "priorities": {"5": 3}},
        {"key": "bob", "waiting": 1, "part": 0.25, "priorities": {"1": 1}},
    ]
    assert [one["key"] for one in waiting(fair, "?top=1")["top"]] == ["ann"]


@pytest.mark.parametrize(
    ("who", "status"), [(None, 401), ("wrong", 401), ("ann", 403), ("gpu", 403), ("prometheus", 403)]
)
def test_nobody_else_does(fair: Secured, who: str | None, status: int) -> None:
    answer = fair.ask(who, "GET", "/v1/waiting")
    assert answer.status_code == status
    assert "ann" not in answer.text and "bob" not in answer.text


@pytest.mark.parametrize("top", ["0", "101", "-1", "many"])
def test_the_number_of_keys_is_bounded(fair: Secured, top: str) -> None:
    answer = fair.ask("root", "GET", f"/v1/waiting?top={top}")
    assert (answer.status_code, answer.json()["reason"]) == (422, "bad_top")


def test_the_metrics_have_numbers_and_no_name(fair: Secured) -> None:
    text = fair.ask("prometheus", "GET", "/metrics").text
    lines = text.splitlines()
    assert "voxpool_keys_waiting 2.0" in lines and "voxpool_largest_key_part 0.75" in lines
    assert 'voxpool_jobs_waiting{pair="other",priority="5"} 3.0' in lines
    assert not [line for line in lines if "ann" in line or "bob" in line]


def test_the_commands_show_the_keys_and_the_place_of_a_job(fair: Secured) -> None:
    def run(who: str, *words: str) -> str:
        done = voxpool_here(*words, VOXPOOL_URL=fair.url, VOXPOOL_TOKEN=fair.keys.secrets[who])
        assert done.returncode == 0, done
        return done.stdout

    lines = run("root", "waiting", "--top", "1").splitlines()
    assert lines[0].split() == ["priority", "waiting", "oldest_ms"] and lines[5].split()[:2] == ["5", "3"]
    assert lines[-3].split() == ["key", "waiting", "part", "priorities"]
    assert lines[-2:] == ["ann  3        75.0%  5", "1 more keys wait"]
    assert json.loads(run("root", "waiting", "--json"))["keys"] == 2
    newest = json.loads(run("ann", "jobs", "--json", "--limit", "1"))["job_id"]
    assert json.loads(run("ann", "why", "--json", newest))["waiting"] == {
        "priority": 5,
        "higher_waiting": 1,
        "keys_ahead": 0,
        "key_waiting": 3,
    }
    text = "priority 5: 1 jobs of higher ones wait, 0 keys have their turn before, 3 jobs of its key wait"
    assert text in run("ann", "why", newest)
