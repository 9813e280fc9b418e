"""A scheduler: production's core with jobs in Redis, on one processor, between its clients and its nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.composition import Core
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.seams import Observer, ResultSink
from voxpool.scheduler.errors import Rejected
from voxpool.scheduler.shared.parts import classes_of
from voxpool.scheduler.stores.memory import MemoryStore
from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.instances.costs import SharedCosts
from voxpool.sim.instances.production.servers import NETWORK_S, Link, PartitionRunner, Processor, Shard, Subscription
from voxpool.sim.instances.store import PartitionStore
from voxpool.sim.virtual_time.clock import VirtualClock
from voxpool.sim.virtual_time.loop import VirtualLoop

if TYPE_CHECKING:
    from voxpool.sim.instances.production.world import Instances


class Place(NamedTuple):
    """A partition, and the server that has it."""

    store: PartitionStore
    shard: Shard


class Stores:
    """The partitions as one scheduler has them: what classes_of takes of JobStores."""

    def __init__(
        self, places: Sequence[Place], processor: Processor, link: Link, passing: Callable[[Place], None]
    ) -> None:
        self.partitions = [PartitionRunner(place.store, place.shard, processor, link) for place in places]
        self.subscriptions: dict[int, Subscription] = {}
        for place, runner in zip(places, self.partitions, strict=True):
            runner.on_hints = lambda at=place: passing(at)  # type: ignore[misc]

    def hints(
        self, partition: int, scheduler: str, on_subscribed: Callable[[], None], on_hint: Callable[[str], None]
    ) -> Subscription:
        """Return the subscription of the scheduler to the hints of a partition."""
        self.subscriptions[partition] = made = Subscription(on_subscribed, on_hint)
        return made


class Scheduler(ResultSink):
    """One process. `name` is never used again."""

    def __init__(self, name: str, world: Instances, settings: Settings, costs: SharedCosts) -> None:
        loop: VirtualLoop = world.loop
        self.name = name
        self.is_alive = True
        self._world = world
        self._loop = loop
        self.processor = Processor(loop)
        self.link = Link(plain_random(world.seed, f"link/{name}"))
        self._stores = Stores(world.places, self.processor, self.link, world.pass_hints)
        self.part_s = costs.scheduler_us / 3e6
        """Of the processor, for each of the three messages of a job whose node is here: submit, assign, result."""
        self.more_s = max(0.0, costs.both_us - costs.scheduler_us) / 2e6
        """More for each of the two schedulers of a job whose node is elsewhere."""
        classes = classes_of(MemoryStore(), self._stores, lambda runner: runner)  # type: ignore[arg-type]
        self.core = Core.build(
            settings=settings,
            clock=VirtualClock(loop.env),
            runner=MemoryStore(),
            sink=self,
            observer=Observer(),
            random=plain_random(world.seed, f"scheduler/{name}"),
            instance=name,
            classes=classes,
        )

    def start(self) -> None:
        """Start the roles on the running loop."""
        self.core.start()

    def receive(self, cost_s: float, take: Callable[..., Any], *what: Any) -> None:
        """Let a message that arrives now wait for its turn, unless the process dies before."""
        self._loop.after(self.processor.spend(cost_s), self._take, take, what)

    def _take(self, take: Callable[..., Any], what: Sequence[Any]) -> None:
        if self.is_alive:
            take(*what)

    def submit(self, request_id: str, pair: str, audio: bytes) -> None:
        """A client's submit."""
        try:
            job = self.core.dispatcher.submit(pair=pair, audio=audio, request_id=request_id)
        except Rejected as rejected:
            self._world.refused(self, request_id, rejected)
            return
        if job.ended:
            self.job_ended(job)
            return
        self.core.dispatcher.when_accepted(
            job, lambda _job: None, lambda rejected: self._world.refused(self, request_id, rejected)
        )

    def job_ended(self, job: Job) -> None:
        """Send the result to the client."""
        cost_s = self.more_s if self._world.is_elsewhere else 0.0
        self._loop.after(self.processor.spend(cost_s) + NETWORK_S, self._world.ended, self, job)

    def hinted(self, partition: int, text: str) -> None:
        """A hint of the store."""
        subscription = self._stores.subscriptions.get(partition)
        if subscription is not None and not self.link.is_cut:
            self.receive(0.0, subscription.on_hint, text)

    def resubscribe(self) -> None:
        """All subscriptions broke."""
        for subscription in self._stores.subscriptions.values():
            subscription.again()

    def die(self) -> None:
        """SIGKILL."""
        self.is_alive = False
        self.core.cancel()
