"""The knee of a load: found where a queue begins to grow, and unclear where it was not reached."""

from __future__ import annotations

from voxpool.loadtest.measuring._latencies import Latencies
from voxpool.loadtest.measuring._tally import Tally
from voxpool.loadtest.report._records import Knee, Window
from voxpool.loadtest.verdict._knee import counted_until, knee_check, knee_note, knee_of

NODES = 20


def windows_of(steps: list[tuple[int, float, float]], step_s: float = 20.0) -> list[Window]:
    """Return the windows of a run with steps of (client users, latency in s, share of failures); two results a user."""
    tally, latencies = Tally(), Latencies()
    at_s = 2.0  # nodes come first, so that no step begins with a window
    latencies.users(at_s, NODES)
    for users, latency_s, failing in steps:
        end_s = at_s + step_s
        count = int(users * 2 * step_s)
        for number in range(count):
            moment = at_s + step_s * number / count
            tally.request(moment, "WS", "result", latency_s, "no_result" if number < failing * count else "")
            latencies.users(moment, NODES + users)
        at_s = end_s
    latencies.absorb(tally.take())
    return latencies.windows(at_s)


def found(steps: list[tuple[int, float, float]], failures_max: float = 0.0, step_s: float = 20.0) -> Knee:
    return knee_of(windows_of(steps, step_s), standing=NODES, knee_ms=500, failures_max=failures_max)


def test_the_knee_is_the_last_step_in_time() -> None:
    knee = found([(10, 0.1, 0), (20, 0.2, 0), (30, 0.9, 0), (40, 5, 0)])
    assert [step.is_good for step in knee.steps] == [True, True, False, False]
    assert (knee.knee, knee.is_reached) == (1, True)
    assert knee.steps[1].users == 20
    assert abs(knee.steps[1].rate_per_s - 40) < 0.5
    check, why = knee_check(knee)
    assert (check.ok, check.figure, why) == (True, 20, "")
    assert "20 client users" in knee_note(knee)


def test_failures_end_the_search_too() -> None:
    steps = [(10, 0.1, 0), (20, 0.2, 0.3), (30, 0.2, 0)]
    assert found(steps).knee == 0
    assert not found(steps, failures_max=0.5).is_reached


def test_a_knee_that_was_not_reached_is_unclear_with_a_hint() -> None:
    check, why = knee_check(found([(10, 0.1, 0), (20, 0.2, 0)]))
    assert not check.clear
    assert why == "the knee is above 20 users: use a higher -u"


def test_a_first_step_beyond_the_limit_is_broken() -> None:
    knee = found([(10, 2.0, 0), (20, 3.0, 0)])
    check, why = knee_check(knee)
    assert (check.ok, check.clear, check.figure, why) == (False, True, 0, "")
    assert "below the first" in knee_note(knee)


def test_steps_too_short_for_a_complete_window_are_unclear() -> None:
    check, why = knee_check(found([(10, 0.1, 0), (20, 0.2, 0)], step_s=4))
    assert not check.clear
    assert "longer --step-s" in why


def test_steps_past_the_knee_do_not_count() -> None:
    windows = windows_of([(10, 0.1, 0), (20, 0.2, 0), (30, 0.9, 0.5)])
    knee = knee_of(windows, standing=NODES, knee_ms=500, failures_max=0)
    kept = counted_until(windows, knee, NODES)
    assert 0 < len(kept) < len(windows)
    assert sum(window.operations["WS result"].failures for window in kept if window.operations) == 0
    open_end = knee_of(windows[:8], standing=NODES, knee_ms=500, failures_max=0)
    assert counted_until(windows[:8], open_end, NODES) == windows[:8]
