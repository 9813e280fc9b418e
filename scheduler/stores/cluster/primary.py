"""One server of the data, with one connection for all of its partitions.

The flushes that come while one is on its way travel together in the next round trip, with one WAIT at its end; an error
answer concerns its own flush only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from voxpool.scheduler.errors import StoreUnavailable, VoxpoolError
from voxpool.scheduler.stores.flush import Flush, Outcome
from voxpool.scheduler.stores.redis import RedisStore


class _Queued:
    """A flush that waits for the one on its way."""

    def __init__(self, flush: Flush) -> None:
        self.flush = flush
        self.outcome: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()
        """None = it is this one's turn to send itself and all others that wait."""

    @property
    def has_turn(self) -> bool:
        """Whether it was given its turn."""
        done = self.outcome.done() and not self.outcome.cancelled()
        return done and self.outcome.result() is None


class Primary:
    """The connection to the server of `store`; `acks` = replicas that must have a flush before it counts as done."""

    def __init__(self, store: RedisStore, acks: int) -> None:
        self.store = store
        self._acks = acks
        self._is_busy = False
        self._queue: list[_Queued] = []

    @property
    def life(self) -> str:
        """Another text after each time at which the server may have lost its data."""
        return f"{self.store.run_id} {self.store.restarts}"

    async def run(self, flush: Flush) -> list[list[str]]:
        """Run a flush, perhaps with others. Raises StoreUnavailable or ScriptFailed."""
        if self._is_busy:
            outcome = await self._wait(_Queued(flush))
        else:
            self._is_busy = True
            outcome = None
        if outcome is None:
            outcome = await self._send(flush)
        if isinstance(outcome, VoxpoolError):
            raise outcome
        return outcome

    async def _wait(self, queued: _Queued) -> Outcome | None:
        self._queue.append(queued)
        try:
            return await queued.outcome
        except asyncio.CancelledError:
            if queued in self._queue:
                self._queue.remove(queued)
            elif queued.has_turn:
                self._give_turn()
            raise

    async def _send(self, flush: Flush) -> Outcome:
        """Send `flush` and all that wait."""
        others, self._queue = self._queue, []
        outcomes: Sequence[Outcome]
        cancelled: BaseException | None = None
        try:
            outcomes = await self.store.run_all([flush, *(other.flush for other in others)], self._acks)
        except VoxpoolError as error:
            outcomes = [error] * (1 + len(others))
        except BaseException as error:
            cancelled = error
            outcomes = [StoreUnavailable(f"{self.store.url}: the connection was closed")] * (1 + len(others))
        for other, outcome in zip(others, outcomes[1:], strict=True):
            if not other.outcome.done():
                other.outcome.set_result(outcome)
        try:
            if cancelled is not None:
                raise cancelled
            failures = [outcome for outcome in outcomes if isinstance(outcome, VoxpoolError)]
            if len(failures) == len(outcomes):
                await self.store.disconnect(failures[0])  # it serves none of them: begin anew
        finally:
            self._give_turn()
        return outcomes[0]

    def _give_turn(self) -> None:
        while self._queue:
            queued = self._queue.pop(0)
            if not queued.outcome.done():
                queued.outcome.set_result(None)
                return
        self._is_busy = False
