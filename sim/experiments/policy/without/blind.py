"""C6: a node is chosen without a check for a free slot, and jobs queue at the node.

The dispatcher sends each job at once; no job waits for a node, so no script is called and the store has no
reservations. The rest is production: the life of a job, its messages, its table.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from voxpool.scheduler.core.composition import CoreClasses
from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import FAILED, Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_registry import NodeRegistry
from voxpool.scheduler.protocol.messages import Assign, CancelAttempt
from voxpool.sim.world.clients import Request
from voxpool.sim.world.links import Connection
from voxpool.sim.world.nodes import UP, SimNode, Work
from voxpool.sim.world.variant import Variant

Choose = Callable[[Sequence[int], random.Random], int]
"""A function of the known loads of the nodes (at least one) that returns the index of the chosen node."""


def at_random(loads: Sequence[int], source: random.Random) -> int:
    """Return any node with equal probability."""
    return int(source.random() * len(loads))


def of_two(loads: Sequence[int], source: random.Random) -> int:
    """Return the less loaded of two random nodes, the first one on a tie."""
    first = int(source.random() * len(loads))
    if len(loads) == 1:
        return first
    second = int(source.random() * (len(loads) - 1))
    second += second >= first
    return second if loads[second] < loads[first] else first


def least_loaded(loads: Sequence[int], source: random.Random) -> int:
    """Return the least loaded of all nodes, a random one on a tie."""
    least = min(loads)
    ties = [place for place, load in enumerate(loads) if load == least]
    return ties[int(source.random() * len(ties))]


class Board:
    """The load of each node of a pair: its jobs, running or queued. A choice reads `seen`.

    With a `report_s` of 0, `seen` is exact. Otherwise all loads are reported together every `report_s` seconds, so
    `seen` is between 0 and `report_s` old.
    """

    def __init__(self, nodes: Sequence[Node], report_s: float, now_ms: int) -> None:
        self.nodes = list(nodes)
        self.loads = [len(node.reservations) for node in self.nodes]
        self.seen = list(self.loads) if report_s else self.loads
        self._places = {node.node_id: place for place, node in enumerate(self.nodes)}
        self._report_ms = round(report_s * 1000)
        self._next_ms = now_ms + self._report_ms

    def add(self, node_id: str, by: int) -> None:
        """Add `by` jobs to a node's load."""
        place = self._places.get(node_id)
        if place is not None:
            self.loads[place] += by

    def report_if_due(self, now_ms: int) -> None:
        """Publish a due report; called before each change, so that the report has the loads of its time."""
        if self._report_ms and now_ms >= self._next_ms:
            self.seen[:] = self.loads
            self._next_ms += (now_ms - self._next_ms) // self._report_ms * self._report_ms + self._report_ms


class CountsChanges(NodeRegistry):
    """Counts connects and disconnects of nodes."""

    changes = 0

    def join(self, node: Node) -> None:
        self.changes += 1
        super().join(node)

    def leave(self, node: Node, reason: str) -> None:
        self.changes += 1
        super().leave(node, reason)


class ChoosesBlindly(Dispatcher):
    """Sends each job at once to the node that `choose` returns; without connected nodes the job fails."""

    node_registry: CountsChanges
    choose: Choose = staticmethod(at_random)
    report_s = 0.0

    def __init__(self, **seams: Any) -> None:
        super().__init__(**seams)
        self._source: random.Random = seams["random"]
        self._boards: dict[str, Board] = {}
        self._changes = 0

    def _wait(self, job: Job) -> None:
        now_ms = self._clock.now_ms()
        board = self._board(job.pair, now_ms)
        if not board.nodes:
            self.end(job, FAILED, reason="no_node")
            return
        node = board.nodes[self.choose(board.seen, self._source)]
        job.attempt = self._next_attempt(job)
        self._dispatch(job, node, now_ms)

    def _board(self, pair: str, now_ms: int) -> Board:
        if self._changes != self.node_registry.changes:
            self._changes = self.node_registry.changes
            self._boards.clear()
        board = self._boards.get(pair)
        if board is None:
            serving = [node for node in self.node_registry.nodes.values() if pair in node.pairs]
            board = self._boards[pair] = Board(serving, self.report_s, now_ms)
        board.report_if_due(now_ms)
        return board

    def _dispatch(self, job: Job, node: Node, now_ms: int) -> None:
        self._count(job.pair, node.node_id, 1)
        super()._dispatch(job, node, now_ms)

    def _take_back(self, job: Job, node: Node) -> None:
        self._count(job.pair, node.node_id, -1)
        super()._take_back(job, node)

    def _release(self, job: Job, node: Node) -> None:
        """Do nothing: the store has no reservation."""

    def _count(self, pair: str, node_id: str, by: int) -> None:
        board = self._boards.get(pair)
        if board is not None:  # otherwise the next board counts from the beginning
            board.report_if_due(self._clock.now_ms())
            board.add(node_id, by)


class QueuesAtTheNode(SimNode):
    """A node that accepts every job, and queues jobs without a free slot in the order of arrival."""

    def __init__(self, *ends: Any) -> None:
        self._queued: deque[tuple[Assign, Request]] = deque()
        super().__init__(*ends)

    def assigned(self, assign: Assign, request: Request) -> None:
        if len(self.running) < self.slots:
            super().assigned(assign, request)
        else:
            self._queued.append((assign, request))

    def worked(self, work: Work, timer: int) -> None:
        super().worked(work, timer)
        self._begin_queued()

    def _begin_queued(self) -> None:
        while self._queued and self.state == UP and len(self.running) < self.slots:
            self.assigned(*self._queued.popleft())

    def _cancelled(self, message: CancelAttempt) -> None:
        given_up = (message.job_id, message.attempt)
        self._queued = deque(
            (assign, request) for assign, request in self._queued if (assign.job_id, assign.attempt) != given_up
        )
        super()._cancelled(message)
        self._begin_queued()

    def _named(self) -> list[tuple[str, int]]:
        return super()._named() + [(assign.job_id, assign.attempt) for assign, _ in self._queued]

    def _die(self) -> Connection | None:
        self._queued.clear()
        return super()._die()


@dataclass(frozen=True)
class Rule:
    """A policy: `choose` on loads that are exact, or reported every `report_s` seconds."""

    name: str
    label: str
    choose: Choose
    report_s: float = 0.0

    def variant(self) -> Variant:
        """Return the variant with this policy."""
        members = {"choose": staticmethod(self.choose), "report_s": self.report_s}
        dispatcher = type(f"Chooses_{self.choose.__name__}", (ChoosesBlindly,), members)
        return Variant(self.name, CoreClasses(dispatcher=dispatcher, node_registry=CountsChanges), node=QueuesAtTheNode)


def _on_loads(name: str, label: str, choose: Choose) -> list[Rule]:
    return [
        Rule(f"{name}/exact", f"{label} on exact loads", choose),
        *(Rule(f"{name}/{age:g}", f"{label} on {age:g} s old reports", choose, age) for age in REPORTS_S),
    ]


REPORTS_S = (0.5, 5.0, 15.0)
RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule("random", "random", at_random),
        *_on_loads("two", "two choices", of_two),
        *_on_loads("least", "least loaded", least_loaded),
    )
}
"""Name -> policy."""
