"""The world: schedulers on shards of one store, closed loops of clients, nodes, faults, and a ledger of requests."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.jobs.job import COMPLETED, Job
from voxpool.scheduler.errors import Rejected
from voxpool.scheduler.protocol.messages import CancelAttempt
from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.instances.costs import SharedCosts
from voxpool.sim.instances.production.nodes import ModelNode
from voxpool.sim.instances.production.scheduler import Place, Scheduler
from voxpool.sim.instances.production.servers import NETWORK_S, Shard
from voxpool.sim.instances.store import PartitionStore
from voxpool.sim.virtual_time.loop import VirtualLoop

RESTART_S = 1.0
"""After which another scheduler takes the place of one that died."""
RECONNECT_S = 0.2
RETRY_S = 0.1
LEASE_S = 3.0
WAITING_S = 300.0
"""Above all stalls and cuts in a row: a job that waited too long has failed as it should, which would hide a loss."""
STALL_S = (0.5, 6.0)
CUT_S = (0.5, 6.0)
LOST_SHARE = 0.02
AUDIO = "audio of "


class Sizes(NamedTuple):
    """What is modelled."""

    schedulers: int
    shards: int = 1
    partitions: int = 4
    elsewhere: bool = False
    """Whether the nodes of each pair are at another scheduler than its clients."""
    in_flight: int = 64
    """Requests of the clients of each scheduler."""
    nodes: int = 16
    """Nodes of each scheduler."""
    slots: int = 8
    service_s: float = 0.002


class Instances:
    """The world at time 0."""

    def __init__(
        self,
        sizes: Sizes,
        costs: SharedCosts,
        seed: int = 1,
        store: Callable[[int], PartitionStore] = PartitionStore,
        **settings: Any,
    ) -> None:
        self.sizes = sizes
        self.seed = seed
        self.loop = VirtualLoop()
        self.service_s = sizes.service_s
        self._costs = costs
        self._chance = plain_random(seed, "faults")
        self._settings = Settings(
            scheduler_lease_s=LEASE_S,
            partitions=sizes.partitions,
            jobs_max=10**6,
            waiting_timeout_s=WAITING_S,
            **settings,
        )
        self.shards = [Shard(self.loop, costs) for _ in range(sizes.shards)]
        self.places = [Place(store(number), self.shards[number % sizes.shards]) for number in range(sizes.partitions)]
        self.schedulers: list[Scheduler] = []
        """By place; one that died is replaced."""
        self._births = 0
        self.open: dict[str, int] = {}
        """Request -> the number of the scheduler that its client prefers."""
        self._at: dict[str, str] = {}
        """Request -> the name of the scheduler that it was sent to last."""
        self._requests = 0
        self.is_ending = False
        self.done = 0
        self.wrong: list[str] = []
        self.runs: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.pairs = [self._pairs_of(number) for number in range(sizes.schedulers)]
        with self.loop.entered():
            for _ in range(sizes.schedulers):
                self._bear(len(self.schedulers))
            step = 1 if sizes.elsewhere and sizes.schedulers > 1 else 0
            self.nodes = [
                ModelNode(self, f"n{home}-{number}", self.pairs[(home + step) % sizes.schedulers], sizes.slots, home)
                for home in range(sizes.schedulers)
                for number in range(sizes.nodes)
            ]
            for node in self.nodes:
                node.connect()
        for number in range(sizes.schedulers):
            for _ in range(sizes.in_flight):
                self.loop.after(0.01, self._ask, number)

    def _pairs_of(self, number: int) -> list[str]:
        """Return pairs of one scheduler's clients, one in each partition."""
        found: dict[int, str] = {}
        at = 0
        while len(found) < self.sizes.partitions:
            pair = f"s{number}p{at}:en"
            found.setdefault(zlib.crc32(pair.encode()) % self.sizes.partitions, pair)
            at += 1
        return list(found.values())

    def _bear(self, place: int) -> None:
        self._births += 1
        scheduler = Scheduler(f"s{self._births}", self, self._settings, self._costs)
        self.schedulers[place : place + 1] = [scheduler]
        scheduler.start()

    def one_for(self, number: int) -> Scheduler:
        """Return the scheduler of that number, or another one when it is dead."""
        living = [each for each in self.schedulers if each.is_alive]
        preferred = self.schedulers[number]
        return preferred if preferred.is_alive or not living else living[number % len(living)]

    def pass_hints(self, place: Place) -> None:
        """Send the hints that the store has now to their schedulers."""
        number = self.places.index(place)
        for scheduler in self.schedulers:
            hints = place.store.hints.get(scheduler.name)
            while hints:
                self.loop.after(NETWORK_S, scheduler.hinted, number, hints.popleft())

    # ---- clients

    def _ask(self, number: int) -> None:
        if self.is_ending:
            return
        self._requests += 1
        request_id = f"{number}-{self._requests}"
        self.open[request_id] = number
        self._send(request_id)

    def _send(self, request_id: str) -> None:
        number = self.open.get(request_id)
        if number is None:
            return
        scheduler = self.one_for(number)
        self._at[request_id] = scheduler.name
        pairs = self.pairs[number]
        pair = pairs[int(request_id.partition("-")[2]) % len(pairs)]
        audio = f"{AUDIO}{request_id}".encode()
        scheduler.receive(scheduler.part_s, scheduler.submit, request_id, pair, audio)

    def refused(self, scheduler: Scheduler, request_id: str, rejected: Rejected) -> None:
        """The scheduler refuses a submit: the client tries it again."""
        self.faults["refused"] += 1
        self.loop.after((rejected.retry_after_ms or 1000 * RETRY_S) / 1000, self._send, request_id)

    def ended(self, scheduler: Scheduler, job: Job) -> None:
        """A client receives a result; one that comes from a dead process is not received."""
        request_id = job.request_id
        if not scheduler.is_alive or self._at.get(request_id) != scheduler.name:
            return
        if job.state != COMPLETED:
            self.wrong.append(f"{request_id} ended as {job.state} {job.reason}")
        elif job.output != f"{AUDIO}{request_id}":
            self.wrong.append(f"{request_id} has the result {job.output!r}")
        number = self.open.pop(request_id, None)
        if number is None:
            self.wrong.append(f"{request_id} ended twice")
            return
        self.done += 1
        del self._at[request_id]
        self.loop.after(NETWORK_S, self._ask, number)

    @property
    def is_elsewhere(self) -> bool:
        """Whether the node of a job is at another scheduler, by the layout."""
        return self.sizes.elsewhere and self.sizes.schedulers > 1

    def ran(self, job_id: str) -> None:
        """A node begins an attempt."""
        self.runs[job_id] += 1

    def dropped(self, scheduler: Scheduler, cancel: CancelAttempt) -> None:
        """A node has dropped an attempt that it made, as its scheduler has told it."""

    # ---- faults

    def kill(self, place: int) -> None:
        """SIGKILL of a scheduler; its peers reconnect elsewhere, another one starts in its place."""
        dead = self.schedulers[place]
        if not dead.is_alive:
            return
        self.faults["kill"] += 1
        dead.die()
        for node in self.nodes:
            if node.scheduler is dead:
                node.lost()
        for request_id, name in list(self._at.items()):
            if name == dead.name:
                self.loop.after(RECONNECT_S, self._send, request_id)
        self.loop.after(RESTART_S, self._bear, place)

    def stall(self, place: int) -> None:
        """The process of a scheduler stands still, perhaps past its lease."""
        self.faults["stall"] += 1
        self.schedulers[place].processor.stand_still(self._chance.uniform(*STALL_S))

    def cut(self, place: int) -> None:
        """A scheduler can't reach the store, perhaps past its lease."""
        scheduler = self.schedulers[place]
        if scheduler.link.is_cut:
            return
        self.faults["cut"] += 1
        scheduler.link.is_cut = True
        self.loop.after(self._chance.uniform(*CUT_S), self._heal, scheduler)

    def _heal(self, scheduler: Scheduler) -> None:
        scheduler.link.is_cut = False
        if scheduler.is_alive:
            scheduler.resubscribe()

    def plague(self, every_s: float, until_s: float) -> None:
        """Let faults strike each scheduler, about one in `every_s`, until `until_s`; some answers are lost, too."""
        for place, scheduler in enumerate(self.schedulers):
            scheduler.link.lost_share = LOST_SHARE
            at_s = self._chance.expovariate(1 / every_s)
            while at_s < until_s:
                strike = self._chance.choice((self.kill, self.stall, self.cut))
                self.loop.at(at_s, strike, place)
                at_s += self._chance.expovariate(1 / every_s)

    # ---- time

    def run(self, until_s: float) -> None:
        """Run to the virtual time `until_s`."""
        self.loop.run(until_s=until_s)

    def settle(self, at_most_s: float) -> bool:
        """Ask for nothing more; return whether all that was asked for ends within `at_most_s`."""
        self.is_ending = True
        return self.loop.run(until_s=self.loop.env.now + at_most_s, done=lambda: not self.open)

    def close(self) -> None:
        """End all processes."""
        with self.loop.entered():
            for scheduler in self.schedulers:
                scheduler.die()
        self.loop.run(until_s=self.loop.env.now + 0.001)
        self.loop.close()
