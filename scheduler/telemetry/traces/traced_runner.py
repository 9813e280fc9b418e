"""A ScriptRunner around another one that makes a span of each select call for a sampled job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from voxpool.scheduler.core.scripts import ScriptCall, reservations_of
from voxpool.scheduler.core.seams import ScriptRunner
from voxpool.scheduler.errors import StoreUnavailable
from voxpool.scheduler.telemetry.around_runner import AroundRunner
from voxpool.scheduler.telemetry.traces import spans
from voxpool.scheduler.telemetry.traces.observer import TraceObserver
from voxpool.scheduler.telemetry.traces.spans import Attributes, Span

SELECTS = frozenset({"select_node", "select_explained"})


class _Asked(NamedTuple):
    """A sampled job in a select: the index of its answer, and its parent span."""

    call: int
    position: int
    job_id: str
    attempt: int
    trace: int
    parent: int


class TracedRunner(AroundRunner):
    """Passes everything on; a span covers the flush of its call."""

    def __init__(self, inner: ScriptRunner, observer: TraceObserver) -> None:
        super().__init__(inner)
        self._observer = observer

    async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Run `calls`, and make spans of the selects for sampled jobs. Raises what the runner raises."""
        asked = self._asked(calls) if self._observer.lives else []
        if not asked:
            return await self.inner.run(calls)
        start_ns = self._observer.now_ns()
        try:
            answers = await self.inner.run(calls)
        except StoreUnavailable:
            for one in asked:
                self._record(one, start_ns, {"voxpool.result": "store_unavailable"}, "store_unavailable")
            raise
        for one in asked:
            node_id, reply = answers[one.call][2 * one.position : 2 * one.position + 2]
            if node_id:
                self._record(one, start_ns, {"voxpool.result": "allocated", "voxpool.node_id": node_id})
            else:
                self._record(one, start_ns, {"voxpool.result": reply.lower() or "nobody"})
        return answers

    def _asked(self, calls: Sequence[ScriptCall]) -> list[_Asked]:
        lives = self._observer.lives
        found = []
        for number, call in enumerate(calls):
            if call.name in SELECTS:
                for position, reservation in enumerate(reservations_of(call)):
                    job_id, _, attempt = reservation.rpartition("|")
                    life = lives.get(job_id)
                    if life is not None:
                        found.append(_Asked(number, position, job_id, int(attempt), life.trace, life.phase))
        return found

    def _record(self, one: _Asked, start_ns: int, more: Attributes, error: str = "") -> None:
        observer = self._observer
        attributes: Attributes = {"voxpool.job_id": one.job_id, "voxpool.attempt": one.attempt, **more}
        now_ns = observer.now_ns()
        observer.give(Span(spans.SELECT, one.trace, observer.new_id(), one.parent, start_ns, now_ns, attributes, error))
