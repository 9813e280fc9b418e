"""The verdict on memory: each kind of growth is found and named, health is passed, too little evidence is neither."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from loadtest.memory._records import MemoryFinding, MemorySeries
from loadtest.memory._verdict import HISTORY, judge_memory
from tests.load.memory_series import RETENTION_S, Numbers, added, noise, rising, sample, series


def judged(made: MemorySeries, floor: float = 50.0) -> MemoryFinding:
    return judge_memory(made, RETENTION_S, floor)


def test_health_is_passed() -> None:
    finding = judged(series(live=noise(30_000)))
    assert (finding.verdict, finding.kind, finding.growing) == ("no leak", "", [])
    assert finding.jobs == 100 * (finding.samples - 1)
    assert finding.bytes_a_job is not None and abs(finding.bytes_a_job) < 10


@pytest.mark.parametrize("interval_s", [1.0, 0.0])
def test_a_leak_of_live_bytes_is_found_and_measured(interval_s: float) -> None:
    finding = judged(series(interval_s=interval_s, live=added(noise(30_000), rising(200)), fields=swept_well))
    assert (finding.verdict, finding.kind) == ("leak", "objects")
    assert finding.bytes_a_job == pytest.approx(200, rel=0.1)
    assert finding.bytes_a_job_low is not None and finding.bytes_a_job_high is not None
    assert finding.bytes_a_job_low < 200 < finding.bytes_a_job_high


def swept_well(number: int) -> dict[str, Any]:
    return {"jobs_finished": 0, "jobs_bytes": 0}


def test_finished_jobs_that_outlive_their_retention_are_found_before_their_bytes() -> None:
    """The seed's leak: exact, without a trend, as soon as the retention is over."""

    def kept(number: int) -> dict[str, Any]:
        return {"jobs_finished": 100 * number, "jobs_bytes": 56_000 * number}

    finding = judged(series(12, fields=kept))
    assert (finding.verdict, finding.kind) == ("leak", "finished jobs")
    assert finding.reason.startswith("1,100 finished jobs are in the table, 700 ended within")
    assert judged(series(7, fields=kept)).verdict == "unclear", "none has outlived it yet"
    assert judged(series(12, 0.0, fields=kept)).kind == "finished jobs", "also with the clean-up off"


def test_a_tenth_of_the_records_that_stays_is_found() -> None:
    def some_kept(number: int) -> dict[str, Any]:
        return {"jobs_finished": min(500, 100 * number) + 10 * number}

    assert judged(series(60, fields=some_kept)).kind == "finished jobs"


@pytest.mark.parametrize("name", ["table sessions._open", "type dict", "store members free", "open files"])
def test_a_count_that_grows_is_found_though_the_bytes_are_in_noise(name: str) -> None:
    counts: dict[str, Numbers] = {name: added(lambda n: 100, rising(0.01), noise(2)), "threads": lambda n: 4}
    finding = judged(series(live=noise(2_000_000), counts=counts, fields=lambda n: {"store_bytes": 5000}))
    assert (finding.verdict, finding.kind) == ("leak", "counts")
    assert [one.name for one in finding.growing] == [name]
    assert finding.growing[0].a_job == pytest.approx(0.01, rel=0.2)
    assert name in finding.reason


def test_counts_that_move_and_do_not_grow_are_none() -> None:
    counts: dict[str, Numbers] = {
        "table core.waiting": added(lambda n: 50, noise(20, 0.8)),
        "type a step": lambda n: 10 if n < 60 else 60,
        "type dict": lambda n: 5000,
        "task once": lambda n: float(n == 70),
    }
    assert judged(series(counts=counts)).verdict == "no leak"


def test_a_backlog_is_no_leak_of_its_entries() -> None:
    """Jobs that pile up because the nodes are slow have objects of their own, and deadlines."""

    def piling_up(number: int) -> dict[str, Any]:
        return {"jobs_unfinished": 5 * number}

    counts: dict[str, Numbers] = {
        "type uvloop.loop.UVTimer": lambda n: 40 * n,
        "table core.dispatcher._deadlines._things": lambda n: 5 * n,
    }
    assert judged(series(counts=counts, fields=piling_up)).growing == []
    assert {one.name for one in judged(series(counts=counts)).growing} == counts.keys()


def test_what_stays_in_a_heap_of_deadlines_is_allowed_for_up_to_its_bound() -> None:
    heap = "table core.dispatcher._deadlines._heap"
    assert judged(series(60, counts={heap: lambda n: 20 + 2 * n})).growing == []
    assert [one.name for one in judged(series(60, counts={heap: lambda n: 20 + 20 * n})).growing] == [heap]


def test_the_history_of_a_young_scheduler_is_no_leak_and_its_bytes_are_allowed_for() -> None:
    counts: dict[str, Numbers] = {HISTORY: lambda n: n, "type scheduler.telemetry.spread.Spread": lambda n: 2 * n}
    history = series(live=lambda n: 6_000.0 * n, counts=counts)
    finding = judged(history)
    assert finding.verdict == "no leak" and "113 records" in finding.notes[0]
    assert judged(series(live=lambda n: 12_000.0 * n, counts=counts)).kind == "objects"
    more = series(400, counts={HISTORY: lambda n: n})
    assert judged(more).kind == "counts", "past 310 seconds it must not grow"


def test_a_type_that_was_not_always_named_is_not_judged() -> None:
    made = series(counts={"type dict": rising(1)})
    made.swept[50] = msgspec.structs.replace(made.swept[50], counts={}, counts_are_whole=False)
    assert judged(made).growing == []


def test_a_store_that_could_not_be_counted_now_and_then_is_judged_by_the_rest() -> None:
    def counted(number: int) -> dict[str, Any]:
        return {"store_bytes": None if number % 20 == 0 else 5000}

    counts: dict[str, Numbers] = {"store members kept": lambda n: 0 if n % 20 == 0 else 10 * n}
    assert [one.name for one in judged(series(counts=counts, fields=counted)).growing] == ["store members kept"]


def test_a_store_that_was_asked_for_and_could_not_be_counted_is_unclear() -> None:
    finding = judge_memory(series(), RETENTION_S, is_store_asked=True)
    assert finding.verdict == "unclear" and "the store could be counted in 0 of" in finding.reason
    seen = series(fields=lambda n: {"store_bytes": 5000})
    assert judge_memory(seen, RETENTION_S, is_store_asked=True).verdict == "no leak"


def test_fragmentation_is_told_and_is_no_leak() -> None:
    finding = judged(series(held=rising(2000)))
    assert (finding.verdict, finding.kind) == ("no leak", "fragmentation")
    assert any("fragmentation" in note for note in finding.notes)


def test_memory_that_goes_round_both_allocators_is_a_leak() -> None:
    finding = judged(series(rss=rising(2000)))
    assert (finding.verdict, finding.kind) == ("leak", "native")


@pytest.mark.parametrize("a_sweep", [200, -4])
def test_a_load_that_is_not_steady_is_neither_health_nor_a_leak(a_sweep: int) -> None:
    """More jobs, more bytes: that is no leak. And a load that falls may hide one."""

    def more_jobs(number: int) -> dict[str, Any]:
        ended = 1000 * number + a_sweep * number**2 // 2
        return {"jobs_ended": ended, "jobs_finished": 0, "jobs_bytes": 40_000_000 + 1000 * a_sweep * 40 * number}

    made = series(live=lambda n: 1000.0 * a_sweep * 40 * n, fields=more_jobs)
    finding = judged(made)
    assert (finding.verdict, finding.kind) == ("unclear", "")
    assert "not steady" in finding.reason and ("rose" if a_sweep > 0 else "fell") in finding.reason


def test_users_that_go_on_coming_are_no_leak_of_connections() -> None:
    def coming(number: int) -> dict[str, Any]:
        return {"users": 10 + number}

    counts: dict[str, Numbers] = {"table sessions._open": lambda n: 10 + n}
    finding = judged(series(live=lambda n: 50_000.0 * n, counts=counts, fields=coming))
    assert (finding.verdict, finding.growing) == ("unclear", [])
    assert finding.reason.startswith("the load was not steady: its users went from 73 to 129")


def test_the_users_of_the_start_are_waited_for() -> None:
    def starting(number: int) -> dict[str, Any]:
        return {"users": min(100, 5 * number)}

    made = series(live=lambda n: 1e6 * min(20, n), fields=starting)
    finding = judged(made)
    assert finding.verdict == "no leak" and finding.samples == 120 - 19 - 6


def test_connections_that_stay_though_the_users_do_not_come_are_found() -> None:
    counts: dict[str, Numbers] = {"table sessions._open": lambda n: 10 + n}
    assert judged(series(counts=counts, fields=lambda n: {"users": 10})).kind == "counts"


def test_what_cant_be_read_is_unclear() -> None:
    def unreadable(number: int) -> dict[str, Any]:
        return {"live_bytes": None, "held_bytes": None, "unreadable": "use CPython"} if number == 60 else {}

    made = MemorySeries(1.0)
    for number in range(120):
        made.add(sample(number, **unreadable(number)))
    finding = judged(made)
    assert finding.verdict == "unclear" and "use CPython" in finding.reason
    assert finding.bytes_a_job is None and set(finding.trends) == {"rss"}


def test_too_little_is_unclear_and_says_what_would_be_enough() -> None:
    assert judged(MemorySeries(1.0)).reason == "nothing could be read"
    few = judged(series(15))
    assert few.verdict == "unclear" and "run for 18 s or more" in few.reason
    idle = judged(series(fields=lambda n: {"jobs_ended": 7, "jobs_finished": 0}))
    assert (idle.verdict, idle.reason) == ("unclear", "no job ended between the samples")
    missed = series()
    missed.missed = 40
    assert judged(missed).reason == "40 of 160 readings failed"


def test_growth_in_noise_is_unclear() -> None:
    assert judged(series(60, live=added(noise(3_000_000, 0.8), rising(200)))).verdict == "unclear"


def test_the_notes_of_the_watch_come_first() -> None:
    finding = judge_memory(series(held=rising(2000)), RETENTION_S, 50.0, ["it was restarted"])
    assert finding.notes[0] == "it was restarted" and len(finding.notes) == 2
