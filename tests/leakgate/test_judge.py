"""The verdict on a process: each kind of growth is named, a healthy process passes, little evidence is unclear."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.leakgate.readings import SOURCE, UNSWEPT, Numbers, added, judged, noise, rising, series
from voxpool.leakgate.readings.series import Bound, Series, Source, parse_bounds


def bounded(**bounds: Bound) -> Source:
    return msgspec.structs.replace(SOURCE, bounds={f"table {name}": bound for name, bound in bounds.items()})


def test_a_healthy_process_passes() -> None:
    finding = judged(series(allocated=noise(30_000)))
    assert (finding.verdict, finding.kind, finding.growing) == ("no leak", "", [])
    assert finding.work == 100 * (finding.readings - 1) and finding.seconds == finding.readings - 1
    assert finding.allocated is not None and finding.allocated.a_unit is not None and abs(finding.allocated.a_unit) < 20


@pytest.mark.parametrize("source", [SOURCE, UNSWEPT])
def test_a_leak_of_allocated_bytes_is_found_and_measured(source: Source) -> None:
    made = series(allocated=added(noise(30_000), rising(200)), fields=lambda _: {"kept": 0, "work_bytes": 0})
    finding = judged(made, source=source)
    assert (finding.verdict, finding.kind) == ("leak", "objects"), finding
    allocated = finding.allocated
    assert (
        allocated is not None
        and allocated.a_unit is not None
        and allocated.low is not None
        and allocated.high is not None
    )
    assert allocated.a_unit == pytest.approx(200, rel=0.1) and allocated.low < 200 < allocated.high


def test_a_leak_is_found_without_kept_work_and_without_a_known_clean_up() -> None:
    bare = {"kept": None, "in_flight": None, "work_bytes": None, "age_s": None, "cleanups": 0}
    finding = judged(series(allocated=added(noise(30_000), rising(200)), fields=lambda _: bare), source=UNSWEPT)
    assert (finding.verdict, finding.kind) == ("leak", "objects"), finding


# ---- readings at any phase (V4)


def late(number: int) -> dict[str, Any]:
    """Return a reading of a busy machine: at any phase, never just after a clean-up."""
    age_s = 0.3 + 0.69 * (number * 0.6180339 % 1.0)
    return {"age_s": age_s, "t_s": number + 0.1 + age_s}


def tooth(number: int) -> float:
    """Return the bytes that pile up until the next clean-up: 2 MB."""
    return 2_000_000.0 * (0.3 + 0.69 * (number * 0.6180339 % 1.0))


def test_readings_that_are_never_just_after_a_clean_up_are_judged() -> None:
    healthy = series(400, allocated=added(tooth, noise(30_000)), fields=late)
    assert judged(healthy, 100.0).verdict == "no leak"
    leaking = series(400, allocated=added(tooth, noise(30_000), rising(400)), fields=late)
    assert (judged(leaking, 100.0).verdict, judged(leaking, 100.0).kind) == ("leak", "objects")


def test_counts_of_readings_at_any_phase_are_judged() -> None:
    def buffered(number: int) -> float:
        return 80 * (0.3 + 0.69 * (number * 0.6180339 % 1.0))

    counts: dict[str, Numbers] = {"table buffer": buffered, "table kept": added(buffered, rising(0.05))}
    finding = judged(series(fields=late, counts=counts))
    assert (finding.kind, [one.name for one in finding.growing]) == ("counts", ["table kept"]), finding


# ---- kept work


def test_finished_work_past_its_retention_is_found_before_its_bytes() -> None:
    """The clean-up does nothing: this is exact, without a trend, as soon as the retention is over."""

    def kept(number: int) -> dict[str, Any]:
        return {"kept": 100 * number, "work_bytes": 56_000 * number}

    finding = judged(series(12, fields=kept))
    assert (finding.verdict, finding.kind) == ("leak", "kept work")
    assert finding.reason.startswith("1,100 finished jobs are kept, 700 were finished within the last 7.0 s")
    assert judged(series(7, fields=kept)).verdict == "unclear", "none has outlived it yet"
    off = Source(unit="job", retention_s=5.0)
    assert judged(series(12, fields=kept), source=off).kind == "kept work", "also with the clean-up off"


def test_a_tenth_of_the_records_that_stay_is_found() -> None:
    def some_kept(number: int) -> dict[str, Any]:
        return {"kept": min(500, 100 * number) + 10 * number}

    assert judged(series(60, fields=some_kept)).kind == "kept work"


def test_a_late_clean_up_is_no_leak_but_a_stopped_one_is() -> None:
    def late_by(intervals: int) -> Series:
        """Stop the clean-up from reading 100 on, for `intervals` of its intervals."""

        def kept(number: int) -> dict[str, Any]:
            age_s = 0.1 + max(0, min(number - 100, intervals))
            return {"kept": 500 + int(100 * (age_s - 0.1)), "age_s": age_s}

        return series(101 + intervals, fields=kept)

    assert judged(late_by(4)).kind == ""
    assert judged(late_by(12)).kind == "kept work"


# ---- counts


@pytest.mark.parametrize("name", ["table sessions._open", "type dict", "store members free", "open files"])
def test_a_growing_count_is_found_although_the_bytes_are_noisy(name: str) -> None:
    counts: dict[str, Numbers] = {name: added(lambda n: 100, rising(0.01), noise(2)), "threads": lambda n: 4}
    finding = judged(series(allocated=noise(2_000_000), counts=counts))
    assert (finding.verdict, finding.kind) == ("leak", "counts"), finding
    assert [one.name for one in finding.growing] == [name]
    assert finding.growing[0].a_unit == pytest.approx(0.01, rel=0.2)
    assert name in finding.reason


def test_counts_that_vary_without_growth_are_no_leak() -> None:
    counts: dict[str, Numbers] = {
        "table core.waiting": added(lambda n: 50, noise(20, 0.8)),
        "type a step": lambda n: 10 if n < 60 else 60,
        "type dict": lambda n: 5000,
        "task once": lambda n: float(n == 70),
    }
    assert judged(series(counts=counts)).verdict == "no leak"


def test_the_counts_that_grew_most_are_named_with_every_verdict() -> None:
    """V9: the finding lists growing counts, the fastest first, also when nothing is decided."""
    counts: dict[str, Numbers] = {
        "table slow": lambda n: 2 * n,
        "table fast": lambda n: 20 * n,
        "type steady": lambda n: 1000,
    }
    coming = series(allocated=noise(3_000_000), counts=counts, fields=lambda n: {"load": 10 + n})
    finding = judged(coming)
    assert (finding.verdict, finding.growing) == ("unclear", [])
    assert [one.name for one in finding.fastest] == ["table fast", "table slow"]
    assert [one.name for one in judged(series(counts=counts)).growing] == ["table fast", "table slow"]


def test_the_rss_is_named_with_every_verdict() -> None:
    """V5: 20 MB of native growth are in the finding although allocated bytes do not show them."""
    finding = judged(series(allocated=noise(3_000_000, 0.9), rss=rising(2000)))
    assert finding.rss is not None and finding.rss.a_unit == pytest.approx(2000, rel=0.1)
    assert (finding.verdict, finding.kind) == ("leak", "native")
    assert "but the RSS grows by 1,999 B a job" in finding.reason


def test_a_backlog_is_no_leak_of_its_entries() -> None:
    """Jobs that pile up because the nodes are slow have their own objects and deadlines."""
    counts: dict[str, Numbers] = {
        "type uvloop.loop.UVTimer": lambda n: 40 * n,
        "table core.dispatcher._deadlines._things": lambda n: 5 * n,
    }
    assert judged(series(counts=counts, fields=lambda n: {"in_flight": 5 * n})).growing == []
    assert {one.name for one in judged(series(counts=counts)).growing} == counts.keys()


def test_a_type_that_is_missing_in_some_readings_is_not_judged() -> None:
    def named(number: int) -> dict[str, Any]:
        return {"counts": {}, "counts_are_whole": False} if number % 5 == 0 else {}

    assert judged(series(counts={"type dict": rising(1)}, fields=named)).growing == []


def test_a_store_with_some_failed_counts_is_judged_by_the_rest() -> None:
    def counted(number: int) -> dict[str, Any]:
        return {"unread": ("store",), "counts": {}} if number % 2 else {}

    grown = judged(series(counts={"store members kept": lambda n: 10 * n}, fields=counted)).growing
    assert [one.name for one in grown] == ["store members kept"]


def test_a_required_store_without_a_count_is_unclear() -> None:
    finding = judged(series(fields=lambda _: {"unread": ("store",)}), needed=["store"])
    assert finding.verdict == "unclear" and "the store could be counted in 0 of" in finding.reason
    assert judged(series(), needed=["store"]).verdict == "no leak"


# ---- bounds


def test_a_count_below_its_declared_bound_is_no_leak_and_above_it_is() -> None:
    counts: dict[str, Numbers] = {"table cache": lambda n: 20 * n}
    assert judged(series(counts=counts)).kind == "counts"
    assert judged(series(counts=counts), source=bounded(cache=Bound(2400))).verdict == "no leak"
    assert judged(series(counts=counts), source=bounded(cache=Bound(2000))).kind == "counts", "it went beyond"
    assert judged(series(counts=counts), source=bounded(other=Bound(2400))).kind == "counts"


def test_the_bytes_of_entries_below_a_bound_are_allowed_and_no_more() -> None:
    """The history of a new process fills: a record a second, of 6 kB."""
    counts: dict[str, Numbers] = {"table history": lambda n: n}
    young = bounded(history=Bound(310, entry_bytes=7_000.0))
    finding = judged(series(allocated=lambda n: 6_000.0 * n, counts=counts), source=young)
    assert finding.verdict == "no leak", finding
    assert finding.notes == [
        "the limit is 120 B a job: 50, and 70 for tables with a declared bound, which filled up meanwhile"
    ]
    assert finding.allocated is not None and finding.allocated.limit == pytest.approx(120)
    assert judged(series(allocated=lambda n: 24_000.0 * n, counts=counts), source=young).kind == "objects"
    past = series(400, counts={"table history": lambda n: 5 * n})
    assert judged(past, source=young).kind == "counts", "past 310 records it must not grow"


def test_a_table_that_fills_with_entries_of_unknown_size_is_no_leak_of_bytes() -> None:
    """Its entries are declared, their size is not: the growth of allocated bytes may be theirs."""
    counts: dict[str, Numbers] = {"table cache": lambda n: 100 * n}
    made = series(allocated=rising(120), counts=counts)
    finding = judged(made, source=bounded(cache=Bound(100_000, None)))
    assert finding.verdict == "unclear" and "table cache=N:BYTES" in finding.reason
    assert judged(made, source=bounded(cache=Bound(100_000, 130.0))).verdict == "no leak"
    assert judged(made, source=bounded(cache=Bound(100_000, 10.0))).kind == "objects"


def test_bounds_are_parsed() -> None:
    assert parse_bounds(["table app.cache=1000", " ", "type a=b=7:80"]) == {
        "table app.cache": Bound(1000, None),
        "type a=b": Bound(7, 80.0),
    }
    for text in ("table", "=5", "table cache=many", "table cache=-1", "table cache=9:", "table cache=9:x"):
        with pytest.raises(ValueError, match="want NAME=N"):
            parse_bounds([text])


# ---- other bytes than the allocated ones


def test_fragmentation_is_reported_but_is_no_leak() -> None:
    finding = judged(series(held=rising(2000)))
    assert (finding.verdict, finding.kind) == ("no leak", "fragmentation")
    assert any("fragmentation" in note for note in finding.notes)


def test_pages_touched_by_a_new_process_are_no_native_leak() -> None:
    """In a short run a megabyte is thousands of bytes a job only because there was little work."""
    few = series(40, rss=lambda n: 48_000.0 * n, fields=lambda n: {"work": 20 * n, "kept": min(100, 20 * n)})
    assert judged(few).verdict == "no leak"


def test_memory_outside_both_allocators_is_a_leak() -> None:
    finding = judged(series(rss=rising(2000)))
    assert (finding.verdict, finding.kind) == ("leak", "native")
    assert "allocated bytes are flat" in finding.reason


def test_without_allocated_bytes_the_rss_is_judged_alone() -> None:
    unread = {"allocated_bytes": None, "held_bytes": None}
    finding = judged(series(fields=lambda _: unread, rss=rising(2000)))
    assert (finding.verdict, finding.kind, finding.allocated) == ("leak", "native", None)
    assert judged(series(fields=lambda _: unread)).verdict == "no leak"


def test_some_readings_without_allocated_bytes_are_tolerated() -> None:
    def unread(number: int) -> dict[str, Any]:
        return {"allocated_bytes": None, "held_bytes": None} if number % 3 == 0 else {}

    assert judged(series(allocated=rising(400), fields=unread)).kind == "objects"


# ---- too little


def test_an_unreadable_figure_is_named() -> None:
    unread = {"allocated_bytes": None, "held_bytes": None, "unreadable": "use CPython"}
    finding = judged(series(fields=lambda _: unread, rss=noise(60_000_000, 0.9)))
    assert finding.verdict == "unclear" and "use CPython" in finding.reason


def test_too_little_evidence_is_unclear_and_the_missing_amount_is_stated() -> None:
    assert judged(Series()).reason == "nothing could be read"
    few = judged(series(15))
    assert few.verdict == "unclear" and "9 readings" in few.reason and "run for 24 s or more" in few.reason
    assert judged(series(25)).verdict != "unclear", "and so it is"
    idle = judged(series(fields=lambda n: {"work": 7, "kept": 0}))
    assert (idle.verdict, idle.reason) == ("unclear", "no job was finished between the readings")


def test_readings_that_failed_are_tolerated_up_to_a_half() -> None:
    missed = series(allocated=rising(400))
    missed.missed = 100
    assert judged(missed).verdict == "leak"
    missed.missed = 130
    assert (judged(missed).verdict, judged(missed).reason) == ("unclear", "130 of 250 readings failed")


def test_growth_in_noise_is_unclear() -> None:
    assert judged(series(60, allocated=added(noise(3_000_000, 0.8), rising(200)))).verdict == "unclear"


def test_a_finding_states_what_the_load_did_not_exercise() -> None:
    done = {"reconnects": 0, "errors": 3, "cancels": 0}
    assert judged(series(), exercised=done).not_exercised == ["reconnects", "cancels"]
    assert judged(series(5), exercised=done).not_exercised == ["reconnects", "cancels"], "also when it is unclear"


def test_the_notes_of_the_watch_come_first() -> None:
    finding = judged(series(held=rising(2000)), notes=["it was restarted"])
    assert finding.notes[0] == "it was restarted" and len(finding.notes) == 2


def test_informative_figures_are_not_judged() -> None:
    def ending(number: int) -> dict[str, Any]:
        return {"judged": number < 100}

    assert judged(series(allocated=lambda n: 10e6 * max(0, n - 99), fields=ending)).verdict == "no leak"


def test_a_count_that_rose_only_during_the_warm_up_is_not_among_the_fastest() -> None:
    counts: dict[str, Numbers] = {
        "table filled": lambda n: 40 * n if n < 30 else 1200 - n,
        "table grows": lambda n: 20 * n,
    }
    assert [one.name for one in judged(series(counts=counts)).fastest] == ["table grows"]
