"""The explored world: its steps, and one of those that are possible at each moment drawn from the seed."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from voxpool.scheduler.config import SUBMIT
from voxpool.scheduler.shared.partition.feed import Feed
from voxpool.scheduler.stores.script_sources import ScriptSource
from voxpool.sim.instances.desk import SharedDesk
from voxpool.sim.instances.desk_parts import Node
from voxpool.sim.instances.ends import Seen, WorldClient, WorldNode, audio_of
from voxpool.sim.instances.scheduler import LEASE_MS, Partition, Scheduler, SkewedClock, SteppedFeed
from voxpool.sim.instances.store import PartitionStore

FROZEN_STEPS = 60
"""How long a process stands still, in steps of the others."""

PREFER_SHARE = 0.2
"""Of the submits: they name a scheduler that should run the job; it may have died."""
Step = tuple[Callable[[], None], str]


class Parts(NamedTuple):
    """What the schedulers are made of, and their setting order; planted bugs replace a part."""

    feed: type[Feed] = SteppedFeed
    desk: type[SharedDesk] = SharedDesk
    sources: Mapping[str, ScriptSource] | None = None
    order: str = SUBMIT


PRODUCTION = Parts()


class Shape(NamedTuple):
    """The sizes of a world."""

    schedulers: int
    partitions: int
    pairs: Sequence[str]
    nodes: int
    slots_max: int
    clients: int = 3
    loses_writes: bool = False
    waiting_ms: int = 10**7
    skew_ms: int = 0
    lost_share: float = 0.03
    """Of the answers to flushes."""
    has_twin: bool = False
    """Whether two processes connect under the name of the first node."""
    expiring_share: float = 0.0
    """Of the requests; those no longer want their result after some seconds."""
    stall_share: float = 0.002
    """Of the steps at which so much time passes that everybody's lease ends."""


class World:
    """Schedulers, nodes and clients on one store."""

    def __init__(self, seed: int, shape: Shape, parts: Parts = PRODUCTION) -> None:
        self.chance = random.Random(seed)
        self.shape = shape
        self.seen = Seen()
        self.now_ms = 1_000_000
        self.stores = [PartitionStore(number, parts.sources) for number in range(shape.partitions)]
        self.schedulers: list[Scheduler] = []
        self.requests: dict[str, str] = {}
        self.expires: dict[str, int] = {}
        self.losses = self.deaths = 0
        self._parts = parts
        self._births = 0
        self._frozen: Scheduler | None = None
        self._thaws_at = 0
        self._step = 0
        self._closing: list[tuple[Scheduler, Node]] = []
        """Connections that their node has left; the scheduler has not noticed yet."""
        self.nodes = [
            WorldNode(
                f"n{number}",
                self.chance.sample(shape.pairs, self.chance.randint(1, min(2, len(shape.pairs)))),
                self.chance.randint(1, shape.slots_max),
            )
            for number in range(shape.nodes)
        ]
        for pair in shape.pairs:
            if not any(pair in node.pairs for node in self.nodes):
                self.nodes.append(WorldNode(f"m-{len(self.nodes)}", [pair], 1))
        if shape.has_twin:
            first = self.nodes[0]
            self.nodes.append(WorldNode(first.node_id, first.pairs, first.slots, "2"))
        self.clients = [WorldClient() for _ in range(shape.clients)]
        for _ in range(shape.schedulers):
            self.bear()

    # ---- what may happen

    def steps(self, quiet: bool) -> list[Step]:
        """Return the possible steps; when `quiet` nothing breaks any more, and no client asks for more."""
        found: list[Step] = []
        chance = self.chance
        for scheduler in self.schedulers:
            if scheduler is self._frozen and not quiet:
                continue
            if self.expires and chance.random() < 0.05:
                found.append((lambda s=scheduler: s.desk.expire(s.clock.now_ms()), "expire"))  # type: ignore[misc]
            for partition in scheduler.partitions:
                self._flush_steps(scheduler, partition, quiet, found)
        for scheduler, known in self._closing:
            found.append((lambda s=scheduler, k=known: self._notice(s, k), "notice"))  # type: ignore[misc]
        for node in self.nodes:
            if node.scheduler is None:
                name = "knock" if node.was_refused else "join"
                found += [(lambda n=node: self._join(n), name)] if self.schedulers else []  # type: ignore[misc]
                continue
            if node.scheduler is self._frozen and not quiet:
                continue
            if node.link.messages:
                found.append((lambda n=node: n.receive(self.seen), "to_node"))  # type: ignore[misc]
            for job_id in node.running:
                found.append((lambda n=node, j=job_id: n.work(j), "work"))  # type: ignore[misc]
                break
            if not quiet and chance.random() < 0.03:
                found.append((lambda n=node: self._cut(n), "cut"))  # type: ignore[misc]
        for client in self.clients:
            self._client_steps(client, quiet, found)
        if not quiet:
            self._fault_steps(found)
        elif not self.schedulers:
            found.append((self.bear, "bear"))
        return found

    def _flush_steps(self, scheduler: Scheduler, partition: Partition, quiet: bool, found: list[Step]) -> None:
        flush = partition.flush
        if flush is None:
            if partition.wants_flush(self.now_ms):
                found.append((partition.begin, "begin" if partition.feed.has_work else "beat"))
        elif flush.is_done:
            found.append((lambda: self._answer(partition, quiet), "answer"))
        else:
            found.append((lambda: self._commit(partition, quiet), "commit"))
        if partition.store.hints.get(scheduler.name):
            found.append((lambda: self._hint(scheduler, partition, quiet), "hint"))

    def _client_steps(self, client: WorldClient, quiet: bool, found: list[Step]) -> None:
        if client.scheduler is None:
            if self.schedulers:
                found.append((lambda: self._dial(client), "dial"))
            return
        if client.scheduler is self._frozen and not quiet:
            return
        if client.link.messages:
            found.append((lambda: client.receive(self.seen), "to_client"))
        if quiet:
            return
        if len(client.open) < 6:
            found.append((lambda: self._submit(client), "submit"))
        if client.open and self.chance.random() < 0.03:
            found.append((lambda: self._cancel(client), "cancel"))
        if self.chance.random() < 0.01:
            found.append((lambda: self._hang_up(client), "hang_up"))

    def _fault_steps(self, found: list[Step]) -> None:
        chance = self.chance
        if self.shape.loses_writes:
            store = chance.choice(self.stores)
            if chance.random() < 0.03:
                found.append((store.save, "save"))
            if store.can_lose and chance.random() < 0.03:
                found.append((lambda: self._lose_writes(store), "lose_writes"))
        if self.schedulers and chance.random() < 0.01:
            told = [one for one in self.schedulers if any(store.hints.get(one.name) for store in self.stores)]
            dying = chance.choice(told or self.schedulers)  # what it was told is lost with it
            found.append((lambda: self.kill(dying), "kill"))
        busy = [one for one in self.schedulers if one.desk.running] if chance.random() < 0.02 else []
        if busy:
            slow = chance.choice(busy)
            found.append((lambda: slow.desk.time_out(chance.choice(slow.desk.running)), "time_out"))
        if len(self.schedulers) < self.shape.schedulers and chance.random() < 0.1:
            found.append((self.bear, "bear"))

    # ---- steps

    def bear(self) -> None:
        """A scheduler starts, under a name that was never used."""
        self._births += 1
        skew = self.chance.choice((-1, 0, 1)) * self.shape.skew_ms
        clock = SkewedClock(lambda: self.now_ms, skew)
        parts = self._parts
        self.schedulers.append(
            Scheduler(
                f"s{self._births}", self.stores, clock, self.shape.waiting_ms, parts.feed, parts.desk, parts.order
            )
        )

    def kill(self, scheduler: Scheduler) -> None:
        """A scheduler dies; all its connections close."""
        self.deaths += 1
        self.schedulers.remove(scheduler)
        for partition in scheduler.partitions:
            partition.close()
        for node in self.nodes:
            if node.scheduler is scheduler:
                node.scheduler = None
        for client in self.clients:
            if client.scheduler is scheduler:
                client.scheduler = None
        self._closing = [(other, known) for other, known in self._closing if other is not scheduler]

    def _commit(self, partition: Partition, quiet: bool) -> None:
        flush = partition.flush
        assert flush is not None
        partition.commit(self.chance.randint(1, len(flush.calls)))
        if not flush.is_done and not quiet and self.chance.random() < 0.02:
            flush.is_broken = True

    def _answer(self, partition: Partition, quiet: bool) -> None:
        assert partition.flush is not None
        if partition.flush.is_broken or (not quiet and self.chance.random() < self.shape.lost_share):
            partition.lose()
        else:
            partition.answer()

    def _hint(self, scheduler: Scheduler, partition: Partition, quiet: bool) -> None:
        text = partition.store.hints[scheduler.name].popleft()
        if not quiet and self.chance.random() < 0.02:
            partition.feed.subscribed()  # the subscription broke, and this hint is lost
        else:
            partition.feed.hinted(text)

    def _lose_writes(self, store: PartitionStore) -> None:
        self.losses += 1
        store.lose_writes()
        for scheduler in self.schedulers:
            for partition in scheduler.partitions:
                if partition.store is store:
                    partition.feed.subscribed()
                    if partition.flush is not None:
                        partition.lose()

    def _partition_of(self, pair: str) -> int:
        return zlib.crc32(pair.encode()) % self.shape.partitions

    def _join(self, node: WorldNode) -> None:
        node.join(self.chance.choice(self.schedulers), [self._partition_of(pair) for pair in node.pairs])

    def _cut(self, node: WorldNode) -> None:
        """A node's connection breaks; its scheduler may notice later."""
        assert node.scheduler is not None and node.known is not None
        self._closing.append((node.scheduler, node.known))
        node.scheduler = None
        node.link.messages.clear()

    def _notice(self, scheduler: Scheduler, known: Node) -> None:
        self._closing.remove((scheduler, known))
        scheduler.desk.node_left(known)

    def _dial(self, client: WorldClient) -> None:
        client.scheduler = self.chance.choice(self.schedulers)
        client.link.messages.clear()
        for request_id, pair in client.open.items():
            self._send(client, request_id, pair)

    def _submit(self, client: WorldClient) -> None:
        request_id, pair = f"r{len(self.requests) + 1}", self.chance.choice(self.shape.pairs)
        client.open[request_id] = self.requests[request_id] = pair
        if self.shape.expiring_share and self.chance.random() < self.shape.expiring_share:
            self.expires[request_id] = self.now_ms + self.chance.randint(1, 5_000)
        self._send(client, request_id, pair)

    def _send(self, client: WorldClient, request_id: str, pair: str) -> None:
        assert client.scheduler is not None
        expires, prefer = self.expires.get(request_id, 0), ""
        if self.chance.random() < PREFER_SHARE:
            prefer = f"s{self.chance.randint(1, self._births)}"
        partition, audio = self._partition_of(pair), audio_of(request_id)
        client.scheduler.desk.submit(partition, request_id, pair, audio, client.link, expires, prefer)

    def _cancel(self, client: WorldClient) -> None:
        assert client.scheduler is not None
        request_id = self.chance.choice(list(client.open))
        client.scheduler.desk.cancel(self._partition_of(client.open[request_id]), request_id)

    def _hang_up(self, client: WorldClient) -> None:
        assert client.scheduler is not None
        client.scheduler.desk.client_left(client.link)
        client.scheduler = None

    # ---- time

    def step(self, quiet: bool = False) -> bool:
        """Do one step; without a possible one, time passes. Return whether there was one."""
        self._step += 1
        if self._step >= self._thaws_at or quiet:
            self._frozen = None
        found = self.steps(quiet)
        self.now_ms += self.chance.choice((0, 1, 10)) if found else 300
        if not quiet and self.chance.random() < self.shape.stall_share:
            self.now_ms += LEASE_MS + 1000  # everybody's lease ends, and one is late to notice
            if self.schedulers:
                self._frozen, self._thaws_at = self.chance.choice(self.schedulers), self._step + FROZEN_STEPS
        if found:
            self.chance.choice(found)[0]()
        return bool(found)
