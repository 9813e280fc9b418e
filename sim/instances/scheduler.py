"""A scheduler of the explored world: production's feeds, desk and members; their flushes begin and end by steps."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Sequence
from typing import Any

from voxpool.scheduler.config import SUBMIT, Settings
from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.errors import StoreUnavailable
from voxpool.scheduler.shared.partition.calls import Bounds
from voxpool.scheduler.shared.partition.feed import Feed
from voxpool.scheduler.shared.partition.members import Members
from voxpool.scheduler.shared.partition.totals import Totals
from voxpool.scheduler.shared.spread import Spread
from voxpool.sim.instances.desk import SharedDesk
from voxpool.sim.instances.store import Flush, PartitionStore

LEASE_MS = 3_000
RETENTION_MS = 20_000
"""Above all stalls: a result that is forgotten before its client's scheduler goes on makes a new job of its submit."""
JOBS_MAX, BYTES_MAX, ENDED_MAX = 1_000, 10**9, 10_000


class SkewedClock:
    """The world's time, ahead or behind by a constant."""

    def __init__(self, world_ms: Callable[[], int], skew_ms: int) -> None:
        self._world_ms = world_ms
        self._skew_ms = skew_ms

    def now_ms(self) -> int:
        """Return the milliseconds."""
        return self._world_ms() + self._skew_ms


class _Sent:
    """What `run` waits for."""

    def __init__(self, flush: Flush) -> None:
        self._flush = flush

    def __await__(self) -> Generator[Flush, list[list[str]], list[list[str]]]:
        answers = yield self._flush
        return answers


class SteppedRunner:
    """A ScriptRunner whose flushes wait for the explorer."""

    def __init__(self, store: PartitionStore) -> None:
        self._store = store

    @property
    def restarts(self) -> int:
        """How often the store has lost writes."""
        return self._store.restarts

    async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Send `calls`; the explorer decides when they are carried out and answered."""
        return await _Sent(Flush(calls))


class SteppedFeed(Feed):
    """Production's feed; a flush that failed is repeated at the next step."""

    async def _pause(self, pause_ms: int) -> None:
        """Go on at once."""


class Partition:
    """A scheduler's view of a partition, and its flush on the way."""

    def __init__(self, feed: Feed, members: Members, store: PartitionStore) -> None:
        self.feed = feed
        self.members = members
        self.store = store
        self.flush: Flush | None = None
        self._running: Coroutine[Any, Any, bool] | None = None

    def wants_flush(self, now_ms: int) -> bool:
        """Whether a flush would begin."""
        return self.flush is None and (self.feed.has_work or self.members.due_ms <= now_ms or len(self.feed) > 0)

    def begin(self) -> None:
        """Begin a flush."""
        if not self.feed.has_work:
            self.members.run_once()
        running = self._running = self.feed.run_once(self.feed)
        self._step(lambda: running.send(None))

    def commit(self, most: int) -> None:
        """Carry out the next calls of the flush, at most `most`."""
        flush = self.flush
        assert flush is not None
        for call in flush.calls[len(flush.answers) : len(flush.answers) + most]:
            flush.answers.append(self.store.run(call))

    def answer(self) -> None:
        """The answers arrive."""
        running, flush = self._running, self.flush
        assert running is not None and flush is not None
        self._step(lambda: running.send(flush.answers))

    def lose(self) -> None:
        """The connection breaks: which calls were carried out stays unknown here."""
        running = self._running
        assert running is not None
        self._step(lambda: running.throw(StoreUnavailable("the connection broke")))

    def close(self) -> None:
        """The process dies."""
        if self._running is not None:
            self._running.close()

    def _step(self, step: Callable[[], Any]) -> None:
        try:
            self.flush = step()
        except StopIteration:
            self.flush = self._running = None


class Scheduler:
    """All of one scheduler. `feed_class` and `desk_class` may have planted bugs."""

    def __init__(
        self,
        name: str,
        stores: Sequence[PartitionStore],
        clock: SkewedClock,
        waiting_ms: int,
        feed_class: type[Feed] = SteppedFeed,
        desk_class: type[SharedDesk] = SharedDesk,
        order: str = SUBMIT,
    ) -> None:
        self.name = name
        self.clock = clock
        self.desk = desk_class(name, order)
        self.partitions: list[Partition] = []
        totals = Totals(Bounds(JOBS_MAX, BYTES_MAX, JOBS_MAX))
        spread = Spread(name, clock, LEASE_MS, self.desk.count_load)
        for number, store in enumerate(stores):
            feed = feed_class(
                number,
                name,
                self.desk,
                runner=SteppedRunner(store),
                clock=clock,
                settings=Settings(order=order),
                observer=Observer(),
                lease_ms=LEASE_MS,
                waiting_ms=waiting_ms,
                totals=totals,
            )
            self.desk.feeds.append(feed)
            members = Members(feed, clock, RETENTION_MS, ENDED_MAX, None if number else spread)
            self.partitions.append(Partition(feed, members, store))
