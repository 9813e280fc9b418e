"""R17: an empty in-order buffer is dropped together with its position; and no gap is ever skipped."""

from __future__ import annotations

from typing import TypeVar

from voxpool.scheduler.protocol.in_order import InOrder

R = TypeVar("R")


class ForgetsItsPosition(InOrder[R]):
    """After the first result the buffer is empty; the next result makes a new buffer, which waits for the first."""

    def ended(self, key: str, result: R, now_ms: int) -> list[R]:
        ready = super().ended(key, result, now_ms)
        if not self._held:
            self._next = 0
        return ready

    @property
    def due_ms(self) -> int | None:
        return None
