"""The stores of all partitions of jobs at one address: a server, a Redis Cluster, or a primary that Sentinels know.

A partition's calls go to the primary of its slot; there is one connection for each primary. Whatever goes wrong (MOVED,
ASK, TRYAGAIN, READONLY, LOADING, CLUSTERDOWN, MASTERDOWN, too few acknowledgements, a lost connection) means "not now":
the flush has failed, the caller repeats it, and the primary is located again before. ASK is not followed: a script
gets all keys of its partition, some of which may not exist, and the new server of a slot refuses such calls until the
slot has moved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from voxpool.scheduler.config import SUBMIT
from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.errors import StoreUnavailable
from voxpool.scheduler.stores.claim import agree_on
from voxpool.scheduler.stores.cluster.addresses import CLUSTER, address_of
from voxpool.scheduler.stores.cluster.hints import Hints
from voxpool.scheduler.stores.cluster.locating import locator_of, slot_of
from voxpool.scheduler.stores.cluster.primary import Primary
from voxpool.scheduler.stores.facts import StoreFacts
from voxpool.scheduler.stores.flush import Flush
from voxpool.scheduler.stores.redis import ANSWER_TIMEOUT_S, RedisStore
from voxpool.scheduler.stores.script_sources import JOBS
from voxpool.scheduler.stores.shown import without_password

DATA_VERSION = 3
"""To be raised with each change of lua/jobs/ that schedulers of the version before can't share (lua/README.md)."""


class JobStores:
    """The stores of `partitions` at `url` (redis://…, or one of addresses.py).

    `acks` = replicas that must have a flush before anything of it is reported. Raises ConfigError for an url that
    can't be read.
    """

    def __init__(
        self,
        url: str,
        partitions: int,
        acks: int = 0,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        order: str = SUBMIT,
    ) -> None:
        address = address_of(url)
        self.is_cluster = address.kind == CLUSTER
        """Whether `url` says so."""
        self._locator = locator_of(address)
        self.url = without_password(url)
        self.partitions = [PartitionStore(self, number, bool(acks)) for number in range(partitions)]
        self._acks = acks
        self._order = order
        self._answer_timeout_s = answer_timeout_s
        self._primaries: dict[str, Primary] = {}

    def hints(
        self, partition: int, scheduler: str, on_subscribed: Callable[[], None], on_hint: Callable[[str], None]
    ) -> Hints:
        """Return the subscription of `scheduler` to the hints of a partition."""
        store = self.partitions[partition]
        hints = Hints(
            lambda: self._locator.locate(store.slot), partition, scheduler, on_subscribed, on_hint, self._locator.doubt
        )
        store.on_move = hints.follow
        return hints

    async def agree(self) -> None:
        """See that all schedulers share some settings. Raises ConfigError or StoreUnavailable."""
        store = (await self.primary_of(self.partitions[0])).store
        for name, value in self._shared():
            await agree_on(store.client, self.url, f"{JOBS.prefix}{{0}}:{name}", name, value)

    def _shared(self) -> list[tuple[str, object]]:
        return [("data_version", DATA_VERSION), ("partitions", len(self.partitions)), ("order", self._order)]

    async def ping(self) -> None:
        """Return when all primaries answer. Raises StoreUnavailable."""
        for primary in await self._all():
            await primary.store.ping()

    async def census(self) -> dict[str, int]:
        """Return how many members each family of keys has in all partitions. Raises StoreUnavailable."""
        found = Counter[str]()
        for partition in self.partitions:
            primary = await self.primary_of(partition)
            found.update(await primary.store.census(partition.keys))
        return {family: found[family] for family in JOBS.kinds}

    async def facts(self, now_ms: Callable[[], int]) -> StoreFacts:
        """Return the facts about the first partition's primary, with the others'. Raises StoreUnavailable."""
        first, *others = [await primary.store.facts(now_ms) for primary in await self._all()]
        first.others = others
        return first

    async def close(self) -> None:
        """Close all connections."""
        await self._locator.close()
        primaries, self._primaries = self._primaries, {}
        for primary in primaries.values():
            await primary.store.close()

    async def primary_of(self, partition: PartitionStore) -> Primary:
        """Return the server that has `partition` now. Raises StoreUnavailable."""
        url = await self._locator.locate(partition.slot)
        if url != partition.at:
            left, partition.at = partition.at, url
            if left:
                partition.on_move(url)
                await self._close_unless_used(left)
        primary = self._primaries.get(url)
        if primary is None:
            store = RedisStore(url, answer_timeout_s=self._answer_timeout_s, layout=JOBS)
            primary = self._primaries[url] = Primary(store, self._acks)
        return primary

    def doubt(self) -> None:
        """A flush has failed: the primaries are located again."""
        self._locator.doubt()

    async def _all(self) -> list[Primary]:
        found = [await self.primary_of(partition) for partition in self.partitions]
        return list(dict.fromkeys(found))

    async def _close_unless_used(self, url: str) -> None:
        if url in self._primaries and all(partition.at != url for partition in self.partitions):
            await self._primaries.pop(url).store.close()


class PartitionStore:
    """A ScriptRunner: the calls of one partition, wherever it is."""

    def __init__(self, stores: JobStores, number: int, has_acks: bool) -> None:
        self.restarts = 0
        """How often its server may have lost data, or another one has taken its place."""
        self.keys = JOBS.keys(number)
        self.slot = slot_of(self.keys[0])
        self.at = ""
        """The URL of its primary when it was last located."""
        self.on_move: Callable[[str], None] = _ignore
        """Called with the URL of another primary."""
        self._mark = f"{JOBS.prefix}{{{number}}}:mark" if has_acks else ""
        self._stores = stores
        self._life = ""

    async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Run `calls` in order, in one round trip. Raises StoreUnavailable or ScriptFailed."""
        try:
            primary = await self._stores.primary_of(self)
            answers = await primary.run(Flush(self.keys, calls, self._mark))
        except StoreUnavailable:
            self._stores.doubt()
            raise
        life, self._life = self._life, primary.life
        if life and life != self._life:
            self.restarts += 1
        return answers


def _ignore(_url: str) -> None:
    """Nobody has to know."""
