"""A varying load changes memory, too: only growth far above the change of the load is a leak."""

from __future__ import annotations

from typing import Any

import pytest

from tests.leakgate.readings import Numbers, added, judged, noise, rising, series


@pytest.mark.parametrize("a_second", [200, -4])
def test_an_unsteady_load_is_unclear(a_second: int) -> None:
    """More jobs take more bytes, which is no leak. And a falling load may hide a leak."""

    def more_jobs(number: int) -> dict[str, Any]:
        work = 1000 * number + a_second * number**2 // 2
        return {"work": work, "kept": 0, "work_bytes": 40_000_000 + 1000 * a_second * 40 * number}

    finding = judged(series(allocated=lambda n: 1000.0 * a_second * 40 * n, fields=more_jobs))
    assert (finding.verdict, finding.kind) == ("unclear", "")
    assert "not steady" in finding.reason and ("rose" if a_second > 0 else "fell") in finding.reason


def test_growth_far_above_the_change_of_the_load_is_a_leak() -> None:
    """V5: 1,100 B a job are decisive, although the memory of running jobs changed a little, too."""

    def moved(number: int) -> dict[str, Any]:
        return {"work_bytes": 300_000 + 5_000 * number}

    made = series(allocated=added(noise(30_000), rising(1100)), fields=moved)
    finding = judged(made)
    assert (finding.verdict, finding.kind) == ("leak", "objects"), finding
    below = judged(series(allocated=added(noise(30_000), rising(90)), fields=moved))
    assert below.verdict == "unclear" and "not steady" in below.reason


def test_a_count_far_above_the_change_of_the_load_is_a_leak() -> None:
    """V5: an entry for each job is decisive, although the number of retained jobs changed."""

    def moved(number: int) -> dict[str, Any]:
        return {"work_bytes": 300_000 + 50_000 * number, "in_flight": 10 + number}

    counts: dict[str, Numbers] = {"table results": rising(1.0), "type Job": lambda n: 10 + 4 * n}
    finding = judged(series(counts=counts, fields=moved))
    assert (finding.kind, [one.name for one in finding.growing]) == ("counts", ["table results"]), finding
    del counts["table results"]
    assert judged(series(counts=counts, fields=moved)).verdict == "unclear"


def test_a_growing_number_of_users_is_no_leak_of_connections() -> None:
    counts: dict[str, Numbers] = {"table sessions._open": lambda n: 10 + n}
    coming = series(allocated=lambda n: 50_000.0 * n, counts=counts, fields=lambda n: {"load": 10 + n})
    finding = judged(coming)
    assert (finding.verdict, finding.growing) == ("unclear", [])
    assert finding.reason.startswith("the load was not steady: it went from 73 to 129")


def test_the_ramp_up_of_the_load_is_left_out() -> None:
    finding = judged(series(allocated=lambda n: 1e6 * min(20, n), fields=lambda n: {"load": min(100, 5 * n)}))
    assert finding.verdict == "no leak" and finding.readings == 120 - 19 - 6


def test_growing_connections_under_a_steady_load_are_found() -> None:
    counts: dict[str, Numbers] = {"table sessions._open": lambda n: 10 + n}
    assert judged(series(counts=counts, fields=lambda _: {"load": 10})).kind == "counts"
