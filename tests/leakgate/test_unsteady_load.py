"""A load that rises or falls moves memory, too: only growth far above what it explains is a leak."""

from __future__ import annotations

from typing import Any

import pytest

from tests.leakgate.readings import Numbers, added, judged, noise, rising, series


@pytest.mark.parametrize("a_second", [200, -4])
def test_a_load_that_is_not_steady_is_neither_health_nor_a_leak(a_second: int) -> None:
    """More jobs, more bytes: that is no leak. And a load that falls may hide one."""

    def more_jobs(number: int) -> dict[str, Any]:
        work = 1000 * number + a_second * number**2 // 2
        return {"work": work, "kept": 0, "work_bytes": 40_000_000 + 1000 * a_second * 40 * number}

    finding = judged(series(allocated=lambda n: 1000.0 * a_second * 40 * n, fields=more_jobs))
    assert (finding.verdict, finding.kind) == ("unclear", "")
    assert "not steady" in finding.reason and ("rose" if a_second > 0 else "fell") in finding.reason


def test_growth_far_above_what_the_load_explains_is_a_leak() -> None:
    """V5: 1,100 B a job are decisive, though what the jobs hold moved a little, too."""

    def moved(number: int) -> dict[str, Any]:
        return {"work_bytes": 300_000 + 5_000 * number}

    made = series(allocated=added(noise(30_000), rising(1100)), fields=moved)
    finding = judged(made)
    assert (finding.verdict, finding.kind) == ("leak", "objects"), finding
    below = judged(series(allocated=added(noise(30_000), rising(90)), fields=moved))
    assert below.verdict == "unclear" and "not steady" in below.reason


def test_a_count_far_above_what_the_load_explains_is_a_leak() -> None:
    """V5: an entry for each job is decisive, though what the process keeps of its jobs moved."""

    def moved(number: int) -> dict[str, Any]:
        return {"work_bytes": 300_000 + 50_000 * number, "in_flight": 10 + number}

    counts: dict[str, Numbers] = {"table results": rising(1.0), "type Job": lambda n: 10 + 4 * n}
    finding = judged(series(counts=counts, fields=moved))
    assert (finding.kind, [one.name for one in finding.growing]) == ("counts", ["table results"]), finding
    del counts["table results"]
    assert judged(series(counts=counts, fields=moved)).verdict == "unclear"


def test_users_that_go_on_coming_are_no_leak_of_connections() -> None:
    counts: dict[str, Numbers] = {"table sessions._open": lambda n: 10 + n}
    coming = series(allocated=lambda n: 50_000.0 * n, counts=counts, fields=lambda n: {"load": 10 + n})
    finding = judged(coming)
    assert (finding.verdict, finding.growing) == ("unclear", [])
    assert finding.reason.startswith("the load was not steady: it went from 73 to 129")


def test_the_load_of_the_start_is_waited_for() -> None:
    finding = judged(series(allocated=lambda n: 1e6 * min(20, n), fields=lambda n: {"load": min(100, 5 * n)}))
    assert finding.verdict == "no leak" and finding.readings == 120 - 19 - 6


def test_connections_that_stay_though_the_load_does_not_grow_are_found() -> None:
    counts: dict[str, Numbers] = {"table sessions._open": lambda n: 10 + n}
    assert judged(series(counts=counts, fields=lambda _: {"load": 10})).kind == "counts"
