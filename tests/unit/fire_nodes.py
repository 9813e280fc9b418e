"""What surrounds the core in a story (fire.py): a store that fails, connections that end, nodes that die and return."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

from tests.unit import fire_checks
from tests.unit.fire_checks import Broken
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.errors import StoreUnavailable
from voxpool.scheduler.protocol.messages import Assign, CancelAttempt, Reregister, ToNode
from voxpool.scheduler.stores.memory import MemoryStore

PAIRS = ["zh:en", "en:zh", "de:fr"]


class FireRunner:
    """A store whose commit and reply are separate steps. A call, a part of a pipeline or the answer may get lost."""

    def __init__(self, store: MemoryStore, chance: random.Random) -> None:
        self.on_restart: Callable[[], None] | None = None
        self.healthy = False
        self._store = store
        self._chance = chance
        self._calls: Sequence[ScriptCall] = ()
        self._answers: list[list[str]] | None = None
        self._reply: asyncio.Future[list[list[str]]] | None = None

    async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        self._calls, self._answers = list(calls), None
        self._reply = asyncio.get_running_loop().create_future()
        return await self._reply

    async def ping(self) -> None:
        """Return; it is always there."""

    async def close(self) -> None:
        """Nothing is open."""

    def step(self) -> None:
        """Commit the flush that is on its way, or else answer it; or fail, before or after the commit."""
        reply = self._reply
        if reply is None or reply.done():
            return
        if self._answers is not None:
            reply.set_result(self._answers)
            return
        draw = 1.0 if self.healthy else self._chance.random()
        if draw < 0.03:
            reply.set_exception(StoreUnavailable("the call got lost"))
        elif draw < 0.06:
            self._store.run_now(self._calls[: self._chance.randrange(len(self._calls) + 1)])
            reply.set_exception(StoreUnavailable("the connection broke in the pipeline"))
        elif draw < 0.09:
            self._store.run_now(self._calls)
            reply.set_exception(StoreUnavailable("the answer got lost"))
        else:
            self._answers = self._store.run_now(self._calls)


class FireLink:
    """One connection of one process. What is sent waits in `inbox` until the node reads it, or is lost with it."""

    def __init__(self, owner: FireNode) -> None:
        self.owner = owner
        self.process_id = owner.process_id
        self.open = True
        self.inbox: list[ToNode] = []
        self.node: Node | None = None
        """Its latest registration; None while the core has not taken it in."""

    def send(self, message: ToNode) -> None:
        if isinstance(message, Assign):
            attempt = message.job_id, message.attempt
            fire_checks.demand(attempt not in self.owner.assigned, fire_checks.SENT_ONCE, f"{attempt}")
            self.owner.assigned.add(attempt)
        if self.open:
            self.inbox.append(message)

    def close(self, reason: str) -> None:
        self.open = False
        self.owner.closed.append(self)

    async def probe(self) -> bool:
        owner = self.owner
        return self.open and owner.awake and owner.process_id == self.process_id


class FireNode:
    """A machine with a node on it: what its process runs, and the connection that it thinks it has."""

    def __init__(
        self, name: str, chance: random.Random, closed: list[FireLink], assigned: set[tuple[str, int]]
    ) -> None:
        self.name = name
        self.closed = closed
        """Where connections that ended wait until the core hears of it; shared by all nodes."""
        self.assigned = assigned
        """Each (job_id, attempt) that was ever sent; shared by all nodes."""
        self.alive = False
        self.frozen = False
        self.starts = 0
        self.slots = 0
        self.pairs: list[str] = []
        self.running: dict[str, int] = {}
        self.link: FireLink | None = None
        self.must_register = False
        self.beat_ms = 0
        self._chance = chance

    @property
    def process_id(self) -> str:
        return f"p{self.starts}"

    @property
    def awake(self) -> bool:
        return self.alive and not self.frozen

    @property
    def online(self) -> Node | None:
        """What the core knows it as, if it can talk to it now."""
        return self.link.node if self.awake and self.link is not None and self.link.open else None

    def start(self) -> None:
        """Start as a new process. Node 0 serves all pairs, so that after healing every job can be worked on."""
        self.alive, self.frozen, self.link = True, False, None
        self.starts += 1
        self.slots = self._chance.choice([1, 2, 3])
        self.pairs = PAIRS if self.name == "n0" else self._chance.sample(PAIRS, self._chance.choice([1, 2, 3]))

    def crash(self, noticed: bool) -> None:
        """Die. `noticed`: the connection closes; else it stays half open, as when the machine lost its power."""
        self.alive, self.running = False, {}
        if noticed and self.link is not None and self.link.open:
            self.link.close("crashed")

    def read(self, assigns_get_lost: bool) -> None:
        """Read the next message."""
        if self.online is None or self.link is None or not self.link.inbox:
            return
        message = self.link.inbox.pop(0)
        if isinstance(message, Assign):
            if assigns_get_lost and self._chance.random() < 0.04:
                return
            if len(self.running) >= self.slots:
                detail = f"{self.name} runs {self.running}, has {self.slots} slots, and gets {message}"
                raise Broken(fire_checks.BEYOND_SLOTS, detail)
            self.running[message.job_id] = message.attempt
        elif isinstance(message, CancelAttempt):
            if self.running.get(message.job_id) == message.attempt:
                del self.running[message.job_id]
        elif isinstance(message, Reregister):
            self.must_register = True
