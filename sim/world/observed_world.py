"""What every simulated world has: virtual time, a store, watchers that see each step, and checkers that recount."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import simpy

from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.composition import Core
from voxpool.scheduler.stores.memory import Dump
from voxpool.sim.checkers import Checker
from voxpool.sim.faults import Faults
from voxpool.sim.observing.recorder import Recorder
from voxpool.sim.observing.trace import Trace
from voxpool.sim.observing.watch import Hub
from voxpool.sim.virtual_time.loop import VirtualLoop
from voxpool.sim.world.stores import SimStore

RECOUNT_STEPS_MIN = 1000
RECOUNT_STEPS_A_RECORD = 10
"""Steps between two full recounts: RECOUNT_STEPS_MIN, and RECOUNT_STEPS_A_RECORD for each reservation."""
RUN_UNTIL_AT_MOST_S = 3600.0


class ObservedWorld:
    """A scheduler's core with its store and watchers, whatever its ends are."""

    seed: int
    loop: VirtualLoop
    env: simpy.Environment
    settings: Settings
    hub: Hub
    store: SimStore
    core: Core
    """The core of the running scheduler; an empty one while none runs."""
    recorder: Recorder
    trace: Trace | None
    checkers: Sequence[Checker]
    not_observed: Sequence[str] = ()
    """The sentences of checkers that the ends of this world can't be checked by."""
    faults: Faults
    clients: Any
    """Requests by id and by job: Clients or Requests."""
    nodes: Sequence[Any]
    """SimNodes or WireNodes."""
    jobs_at_end: int
    """Finished jobs left after draining, retention and one sweep."""

    _is_stopped = False
    _is_marked = False
    _moments = 0
    _recount_after = RECOUNT_STEPS_MIN

    # ---- time

    def run(self, for_s: float = 0.0) -> None:
        """Run for `for_s` virtual seconds (0: run the events that are due now)."""
        self.loop.run(until_s=self.env.now + for_s)

    def run_to(self, at_s: float) -> None:
        """Run to the virtual time `at_s`; do nothing if it is past."""
        if at_s > self.env.now:
            self.loop.run(until_s=at_s)

    def run_until(self, condition: Callable[[], bool], at_most_s: float = RUN_UNTIL_AT_MOST_S) -> None:
        """Run until `condition()` is true; raises TimeoutError after `at_most_s` virtual seconds."""
        if not self.loop.run(until_s=self.env.now + at_most_s, done=condition):
            waiters = "; ".join(self.loop.waiters())
            raise TimeoutError(f"not within {at_most_s:g} virtual seconds: {self!r}; waiting: {waiters}")

    # ---- the store

    def store_dump(self) -> Dump:
        """Return the content of the store."""
        return self.store.dump()

    def store_keys(self) -> int:
        """Return the number of members of all families in the store."""
        return sum(self.store.census().values())

    @property
    def orphan_ms(self) -> float:
        """Time after its lease's end for which a disconnected node may stay in the store: two sweeps."""
        return 2000 * self.settings.store_sweep_s

    # ---- checkers

    def mark(self) -> None:
        """Call the watchers at the end of this instant, because jobs or the store have changed."""
        if not self._is_marked:
            self._is_marked = True
            self.loop.when_instant_ends(self._instant_over)

    def _instant_over(self) -> None:
        self._is_marked = False
        self.hub.instant_over()
        self._moments += 1
        if self._moments >= self._recount_after and self.core.queue.idle:
            self._recount()

    def _recount(self) -> None:
        self._moments = 0
        for checker in self.checkers:
            checker.recount()
        held = len(self.core.table) + self.store_keys() if self.checkers else 0
        self._recount_after = max(RECOUNT_STEPS_MIN, RECOUNT_STEPS_A_RECORD * held)

    def broken_checkers(self) -> list[str]:
        """Do a full recount, and return a line for each broken checker, with its first example."""
        if not self._is_stopped:
            self.run_until(lambda: self.core.queue.idle)
            self._recount()
        return [
            f"{checker.sentence}: broken {checker.broken} times, first {checker.examples[0]}"
            for checker in self.checkers
            if checker.broken
        ]

    def end_checks(self) -> None:
        """Run the checks of the end of a run."""
        self.loop.run(until_s=self.env.now + 5, done=lambda: self.core.queue.idle)
        for checker in self.checkers:
            checker.at_end()

    # ---- the end

    def come_to_rest(self) -> None:
        """Let every request end, wait for the end of retention, and run the final checks."""
        raise NotImplementedError

    def stop(self) -> None:
        """End the run in good order."""
        raise NotImplementedError

    def close(self) -> None:
        """Close all resources of the run, whatever its state."""
        raise NotImplementedError
