"""What the entries of nodes and clients mean, and the verdict and exit code of a run with them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from voxpool.loadtest.chaos._entries import (
    Accepted,
    Again,
    AnyEntry,
    Asked,
    Ended,
    Finished,
    Refused,
    Started,
    Writer,
    read_entries,
)
from voxpool.loadtest.chaos._faults import KINDS, kinds_of, planned
from voxpool.loadtest.chaos._judge import Connected, Done, Found, Rerun, judge
from voxpool.loadtest.chaos._report import JOBS_MIN, RERUNS_MIN, command, report
from voxpool.loadtest.chaos._run import Outcome
from voxpool.loadtest.chaos._sizes import RETENTION_S, Sizes


def asked(number: int, at_s: float = 0.0) -> Asked:
    """Return the entry of a request."""
    return Asked(number, at_s, "client-1")


def job(number: int, at_s: float = 0.0) -> list[AnyEntry]:
    """Return the entries of a job that completes."""
    name = f"j-{number}"
    return [
        asked(number, at_s),
        Accepted(number, at_s + 0.1, name),
        Started(number, at_s + 0.2, name, 1, "node-1"),
        Finished(number, at_s + 0.3, name, 1, "node-1"),
        Ended(number, at_s + 0.4, name, "completed", True),
    ]


def judged(*entries: AnyEntry, faults: tuple[Done, ...] = (), connected: tuple[Connected, ...] = ()) -> Found:
    return judge(entries, faults, connected)


def test_a_job_that_completes_is_nothing_to_report() -> None:
    """Its time is from asking to the answer."""
    found = judged(*job(1))
    assert (found.asked, found.accepted, found.completed, found.attempts) == (1, 1, 1, 1)
    assert found.latencies_s == [(0.4, 0.4)]
    assert not (found.lost or found.unanswered or found.twice or found.wrong or found.reruns or found.never_run)


def test_an_accepted_job_without_an_end_is_lost() -> None:
    """One that was not accepted is unanswered; a refused one is neither, but did not complete."""
    found = judged(*job(1)[:-1], asked(2), asked(3), Refused(3, 2.0, "SubmitRejected: full"))
    assert (found.lost, found.unanswered) == ([1], [2])
    assert found.not_completed == {"refused: SubmitRejected: full": 1}


def test_a_second_result_is_found_however_it_comes() -> None:
    """As one that nobody waits for, or as a second end."""
    again = Again(1, 1.0, "chaos-1", "completed")
    assert judged(*job(1), again).twice == [1]
    assert judged(*job(1), job(1)[-1]).twice == [1]
    assert judged(job(5)[-1]).twice == [5], "it belongs to nobody"


def test_a_wrong_output_and_a_failure_are_found() -> None:
    """A job that no node has run, too."""
    wrong = Ended(1, 1.0, "j-1", "completed", False)
    assert judged(asked(1), wrong).wrong == [1]
    assert judged(asked(1), wrong).never_run == [1]
    failed = Ended(1, 1.0, "j-1", "failed", False, "attempts_max")
    assert judged(asked(1), failed).not_completed == {"failed: attempts_max": 1}


def test_a_second_run_has_the_cause_that_hit_its_node_or_its_scheduler() -> None:
    """The time counts from that fault; one elsewhere is no cause."""
    second = Started(1, 9.0, "j-1", 2, "node-2")
    places = (Connected("node-1", "scheduler-1", 0.0), Connected("node-1", "scheduler-2", 5.0))
    died = Done("kill_scheduler", "scheduler-1", 0.25, 5.0)
    (rerun,) = judged(*job(1), second, faults=(died,), connected=places).reruns
    assert (rerun.cause, rerun.waited_s) == ("kill_scheduler", 8.75)
    elsewhere = Done("kill_scheduler", "scheduler-2", 4.0, 5.0)
    (rerun,) = judged(*job(1), second, faults=(elsewhere,), connected=places).reruns
    assert (rerun.cause, rerun.waited_s) == ("", 8.8)
    found = judged(*job(1), second, faults=(died,), connected=places)
    assert found.waits_after("kill_scheduler") == [8.75] and found.ran_twice == 1 and not found.same_attempt
    node = Done("kill_node", "node-1", 6.0, 7.0)
    found = judged(*job(1), second, faults=(died, node), connected=places)
    assert found.reruns[0].cause == "kill_node" and found.waits_after("kill_node") == [], "it was done by then"


def test_an_attempt_that_is_sent_twice_is_found() -> None:
    """Whether to one node or to two. After the retention a job that is asked for again is a new one."""
    assert judged(*job(1), Started(1, 0.5, "j-1", 1, "node-2")).same_attempt == [1]
    late = 0.4 + RETENTION_S
    for node in ("node-1", "node-2"):
        again = (Started(1, late, "j-1", 1, node), Finished(1, late + 0.1, "j-1", 1, node))
        assert judged(*job(1), *again).same_attempt == []
    unfinished = [entry for entry in job(1) if not isinstance(entry, Finished)]
    assert judged(*unfinished, Started(1, late, "j-1", 1, "node-2")).same_attempt == [1]


def test_entries_survive_the_file(tmp_path: Path) -> None:
    """Two processes may append to one file."""
    path = tmp_path / "ledger"
    assert list(read_entries(path)) == []
    one, other = Writer(path), Writer(path)
    for entry in job(7):
        (one if isinstance(entry, Started) else other).write(entry)
    assert list(read_entries(path)) == job(7)


def test_a_seed_has_its_order_of_faults() -> None:
    """The same seed has the same order, each kind comes once in a round, and only kinds that fit the store."""
    sizes = Sizes(store="redis", duration_s=600)
    plan = planned(sizes)
    assert plan == planned(sizes) != planned(Sizes(store="redis", duration_s=600, seed=2))
    fit = [name for name, kind in KINDS.items() if "redis" in kind.stores]
    assert kinds_of(sizes) == fit and "fail_over" not in fit
    assert sorted(fault.kind for fault in plan[: len(fit)]) == sorted(fit)
    assert all(0 < fault.at_s < 600 for fault in plan)
    assert {fault.kind for fault in planned(Sizes(store="cluster", kinds=("fail_over",)))} == {"fail_over"}


def outcome(*entries: AnyEntry, **changed: Any) -> Outcome:
    """Return a run with enough good jobs, and these entries."""
    good = [entry for number in range(1000, 1000 + JOBS_MIN) for entry in job(number)]
    fault = Done("kill_node", "node-9", 0.0, 0.1)
    found = judge([*good, *entries], [fault], [])
    plain: dict[str, Any] = {
        "sizes": Sizes(),
        "found": found,
        "faults": [fault],
        "began_s": 0.0,
        "ended_s": 10.0,
        "left": Counter(),
        "expiring": 0,
        "left_out": Counter(),
        "ends": {},
        "errors": [],
        "complaints": [],
        "lives": 3,
    }
    return Outcome(**{**plain, **changed})


def test_a_good_run_holds() -> None:
    """Its report has the command that repeats it."""
    good = report([outcome()])
    assert good.exit_code == 0
    assert "voxpool-load chaos --seed 1 --duration 600 --store redis" in " ".join(good.notes)
    assert "--fault kill_node" in command(outcome(sizes=Sizes(kinds=("kill_node",))))


@pytest.mark.parametrize(
    ("kinds", "count", "wait_s", "code"),
    [
        (("kill_scheduler",), RERUNS_MIN, 4.0, 0),
        (("kill_scheduler",), RERUNS_MIN, 9.0, 1),
        (("kill_scheduler",), RERUNS_MIN - 1, 9.0, 0),
        (("kill_scheduler", "empty_store"), RERUNS_MIN, 9.0, 0),
    ],
)
def test_late_second_runs_after_kills_alone_break_the_limit(
    kinds: tuple[str, ...], count: int, wait_s: float, code: int
) -> None:
    one = outcome(sizes=Sizes(kinds=kinds))
    for number in range(count):
        first, second = Started(number, 0.0, "j", 1, "n"), Started(number, 1.0, "j", 2, "n")
        one.found.reruns.append(Rerun(number, first, second, "kill_scheduler", wait_s, was_running=True))
    assert report([one]).exit_code == code


@pytest.mark.parametrize(
    "bad",
    [
        outcome(*job(1)[:-1]),
        outcome(asked(1)),
        outcome(*job(1), Again(1, 1.0, "chaos-1", "completed")),
        outcome(asked(1), Started(1, 0.1, "j-1", 1, "n"), Ended(1, 1.0, "j-1", "completed", False)),
        outcome(
            asked(1),
            Started(1, 0.1, "j-1", 1, "n"),
            Ended(1, 1.0, "j-1", "failed", False, "engine_error"),
        ),
        outcome(asked(1), Ended(1, 1.0, "j-1", "completed", True)),
        outcome(*job(1), Started(1, 0.5, "j-1", 1, "node-2")),
        outcome(left=Counter({"vp:jobs:{p}:records": 2})),
        outcome(ends={"scheduler-1": [1]}),
        outcome(errors=["scheduler-1.1: Traceback (most recent call last):"]),
    ],
    ids=[
        *("lost", "unanswered", "twice", "wrong", "failed", "never run", "one attempt twice", "left", "ended", "error"),
    ],
)
def test_each_finding_breaks_a_limit(bad: Outcome) -> None:
    """It ends with 1."""
    assert report([outcome(), bad]).exit_code == 1


@pytest.mark.parametrize(
    "thin",
    [
        outcome(faults=[]),
        outcome(found=judge(job(1), [], [])),
        outcome(complaints=["swap: TimeoutError"]),
    ],
    ids=["nothing broke", "few jobs", "a fault failed"],
)
def test_a_run_that_proves_nothing_is_unclear(thin: Outcome) -> None:
    """It ends with 2."""
    assert report([thin]).exit_code == 2
