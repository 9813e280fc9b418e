"""What can be watched in a run: all that the dispatcher tells an Observer, and what happens around it.

Trace, recorder and checkers are watchers; the hub hands each event to those that want it, and costs nothing where
nobody does. A watcher reads; it changes nothing and draws nothing, so a run is the same with and without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.protocol.messages import Assign, NodeResult
from voxpool.scheduler.telemetry.fan_out import all_of

if TYPE_CHECKING:
    from voxpool.sim.world.clients import Request
    from voxpool.sim.world.links import Connection
    from voxpool.sim.world.nodes import SimNode, Work


class Watcher(Observer):
    """Hears of everything; every method does nothing here. Times are those of the loop, read when called."""

    def request_made(self, request: Request) -> None:
        """A client sends `request` for the first time."""

    def request_told(self, request: Request, state: str) -> None:
        """The client receives the end of `request`: completed, failed, cancelled, or rejected (it gives up)."""

    def calls_run(self, calls: Sequence[ScriptCall], answers: Sequence[list[str]]) -> None:
        """The store has carried out `calls`; the scheduler doesn't know the answers yet."""

    def assign_sent(self, request: Request, connection: Connection, assign: Assign) -> None:
        """The scheduler put `assign` on the way to a node."""

    def result_arrives(self, node: Node, result: NodeResult) -> None:
        """A node's answer is about to be given to the dispatcher."""

    def result_handled(self, node: Node, result: NodeResult) -> None:
        """The dispatcher has dealt with that answer."""

    def beat_arrives(self, node: Node) -> None:
        """A heartbeat of `node` is about to be given to the dispatcher."""

    def work_started(self, worker: SimNode, work: Work) -> None:
        """A node began to work on an attempt."""

    def work_ended(self, worker: SimNode, work: Work, is_done: bool) -> None:
        """A node stopped working on an attempt, because it is done or was given up (cancelled, crashed)."""

    def scheduler_gone(self) -> None:
        """The scheduler is about to die with all that it has in memory: world.core is still the old one."""

    def scheduler_built(self) -> None:
        """World.core is a new one, empty: at the start of a run, at once when a scheduler died, and when it starts."""

    def store_emptied(self) -> None:
        """The store has lost all its data."""

    def fault_began(self, kind: str, target: str) -> None:
        """Something was broken."""

    def fault_healed(self, kind: str, target: str) -> None:
        """It works again."""

    def instant_over(self) -> None:
        """All that happens at this moment has happened, and jobs or the store have changed."""


HOOKS = tuple(name for name in dir(Watcher) if not name.startswith("_"))


class Hub(Watcher):
    """Hands each event to the watchers that override its method, in the order in which they were added."""

    def __init__(self) -> None:
        self.watchers: list[Watcher] = []
        self._wire()

    def add(self, watchers: Iterable[Watcher]) -> None:
        """Let `watchers` hear of everything from now on."""
        self.watchers += watchers
        self._wire()

    def handlers(self, hook: str) -> list[Callable[..., None]]:
        """Return the methods that want to hear of `hook`."""
        nothing = getattr(Watcher, hook)
        return [
            getattr(watcher, hook)
            for watcher in self.watchers
            if getattr(getattr(watcher, hook), "__func__", None) is not nothing
        ]

    def _wire(self) -> None:
        for hook in HOOKS:
            setattr(self, hook, all_of(self.handlers(hook)))
