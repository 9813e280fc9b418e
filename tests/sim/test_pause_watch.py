"""How long code blocks the loop, and the collector's share of it."""

from __future__ import annotations

import gc

from voxpool.sim.virtual_time.pause_watch import CollectorWatch, PauseWatch


def work(steps: int) -> int:
    return sum(i * i for i in range(steps))


def test_each_pause_is_recorded() -> None:
    with CollectorWatch() as collector:
        watch = PauseWatch(collector)
        for steps in (1_000, 200_000, 1_000):
            with watch:
                work(steps)

    short, long, short_again = watch.pauses_ns
    assert long > max(short, short_again) > 0


def test_pauses_of_the_collector_are_separate() -> None:
    garbage = [[i] for i in range(300_000)]
    with CollectorWatch() as collector:
        watch = PauseWatch(collector)
        with watch:
            gc.collect()

    assert collector.runs >= 1
    assert collector.longest_ms > 1.0
    assert watch.pauses_ns[0] < collector.longest_ns
    assert len(garbage) == 300_000


def test_the_watch_of_the_collector_ends() -> None:
    before = list(gc.callbacks)
    with CollectorWatch():
        assert len(gc.callbacks) == len(before) + 1

    assert gc.callbacks == before
