"""The behaviours about clients that the fixes replaced: R16 and R17."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.protocol.in_order import InOrder

R = TypeVar("R")


class CancelsNothing(Dispatcher):
    """R16: the jobs of a closed session continue, and nodes work on results without a receiver."""

    def session_closed(self, session_id: str, job_ids: Iterable[str] = ()) -> None:
        super().session_closed(session_id)


class ForgetsItsPosition(InOrder[R]):
    """R17: an empty in-order buffer is dropped with its position; the next result makes one that waits for the first.

    No gap is ever skipped.
    """

    def ended(self, key: str, result: R, now_ms: int) -> list[R]:
        ready = super().ended(key, result, now_ms)
        if not self._held:
            self._next = 0
        return ready

    @property
    def due_ms(self) -> int | None:
        return None
