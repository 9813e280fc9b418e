"""The events of a run: those that the dispatcher reports to an Observer, and those of nodes, clients and the store.

Trace, recorder and checkers are watchers. The hub passes each event to the watchers that override its method; an event
without a watcher costs nothing. A watcher changes nothing and draws no random numbers, so it doesn't affect the run.
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
    """Receives every event of a run; each method does nothing here. Times are those of the loop at the call."""

    def request_made(self, request: Request) -> None:
        """Called when a client sends `request` for the first time."""

    def request_ended(self, request: Request, state: str) -> None:
        """Called when the client receives the end of `request`: completed, failed, cancelled, or rejected for good."""

    def calls_run(self, calls: Sequence[ScriptCall], answers: Sequence[list[str]]) -> None:
        """Called when the store has executed `calls`, before the scheduler receives the answers."""

    def assign_sent(self, request: Request, connection: Connection, assign: Assign) -> None:
        """Called when the scheduler sends `assign` to a node."""

    def result_arrives(self, node: Node, result: NodeResult) -> None:
        """Called before the dispatcher receives a node's answer."""

    def result_handled(self, node: Node, result: NodeResult) -> None:
        """Called after the dispatcher has handled that answer."""

    def beat_arrives(self, node: Node) -> None:
        """Called before the dispatcher receives a heartbeat of `node`."""

    def work_started(self, worker: SimNode, work: Work) -> None:
        """Called when a node begins to work on an attempt."""

    def work_ended(self, worker: SimNode, work: Work, is_done: bool) -> None:
        """Called when a node stops working on an attempt: it is done, or not (cancelled, crashed)."""

    def scheduler_gone(self) -> None:
        """Called before the scheduler dies with all its memory: world.core is still the old one."""

    def scheduler_built(self) -> None:
        """Called when world.core is new and empty: at the start of a run, after a scheduler's death, at its restart."""

    def store_emptied(self) -> None:
        """Called when the store has lost all its data."""

    def fault_began(self, kind: str, target: str) -> None:
        """Called when a fault begins."""

    def fault_healed(self, kind: str, target: str) -> None:
        """Called when a fault is healed."""

    def instant_over(self) -> None:
        """Called after the last event of an instant in which jobs or the store have changed."""


HOOKS = tuple(name for name in dir(Watcher) if not name.startswith("_"))


class Hub(Watcher):
    """Passes each event to the watchers that override its method, in the order of `add`."""

    def __init__(self) -> None:
        self.watchers: list[Watcher] = []
        self._wire()

    def add(self, watchers: Iterable[Watcher]) -> None:
        """Pass all further events to `watchers`."""
        self.watchers += watchers
        self._wire()

    def handlers(self, hook: str) -> list[Callable[..., None]]:
        """Return the methods of the watchers that override `hook`."""
        nothing = getattr(Watcher, hook)
        return [
            getattr(watcher, hook)
            for watcher in self.watchers
            if getattr(getattr(watcher, hook), "__func__", None) is not nothing
        ]

    def _wire(self) -> None:
        for hook in HOOKS:
            setattr(self, hook, all_of(self.handlers(hook)))
