"""What comes in from nodes: registers, beats, answers, closed connections; and what that means for their jobs.

Plain synchronous decisions but for the question whether an older connection still answers. What becomes of a job is
the dispatcher's part; the node registry writes nodes to the store.
"""

from __future__ import annotations

from voxpool.scheduler.config import Settings, ms
from voxpool.scheduler.core.clock import Clock
from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.error_text import cleaned
from voxpool.scheduler.core.jobs.job import BUSY, COMPLETED, ERROR, FAILED
from voxpool.scheduler.core.jobs.reasons import ENDS, ENGINE_ERROR, OF_WORKERS
from voxpool.scheduler.core.nodes.node import DRAIN, Node
from voxpool.scheduler.core.nodes.node_registry import NodeRegistry
from voxpool.scheduler.core.seams import ENDED_LINK, NodeLink, Observer
from voxpool.scheduler.errors import NodeRefused, word
from voxpool.scheduler.protocol.messages import (
    CancelAttempt,
    Error,
    Heartbeat,
    NodePartial,
    NodeResult,
    Register,
    Reregister,
    WorkError,
)
from voxpool.scheduler.protocol.trace_context import checked

BEATS_MISSED_MAX = 2
"""Beats in a row without a held attempt before its assign counts as lost; one beat may have crossed the assign."""


class NodeEvents:
    """Receives all messages of nodes. One for each scheduler."""

    def __init__(
        self, settings: Settings, clock: Clock, dispatcher: Dispatcher, node_registry: NodeRegistry, observer: Observer
    ) -> None:
        self._nodes_max = settings.nodes_max
        self._busy_rest_ms = ms(settings.busy_rest_s)
        self._clock = clock
        self._dispatcher = dispatcher
        self._node_registry = node_registry
        self._observer = observer

    async def joined(self, link: NodeLink, register: Register, owner: str = "") -> Node:
        """Take in the connection of a node and register it; `link` gets Registered once the store has it.

        The same process takes over its own older connection. Another process under the name of a node is refused
        (NodeRefused) while that one's connection answers; a process of another `owner`, a token, while it is in the
        registry at all: it could else take over its jobs. Anyone is refused while the node registry is full or the
        store far behind. A node may register again over the same link; what it says from then on belongs to the Node
        that is returned.
        """
        while True:
            old = self._node_registry.find(register.node_id)
            if old is not None and old.owner != owner:
                raise NodeRefused("name_taken", f"{register.node_id!r} is the node of another token; rename one")
            if old is None or old.process_id == register.process_id:
                break
            if await old.link.probe():
                raise NodeRefused("name_taken", f"another process is connected as {register.node_id!r}; rename one")
            if self._node_registry.find(register.node_id) is old:
                break
        if old is None and len(self._node_registry) >= self._nodes_max:
            raise NodeRefused("nodes_max", f"{self._nodes_max} nodes are connected, the most allowed")
        if self._dispatcher.queue.is_full:
            raise NodeRefused("store_behind", "too many calls wait for the store; register again in a while")
        pairs = tuple(dict.fromkeys(register.pairs))
        now_ms = self._clock.now_ms()
        node = Node(register.node_id, register.process_id, pairs, register.slots, link, now_ms, owner)
        if register.now_ms is not None:
            node.clock_ahead_ms = register.now_ms - now_ms
        self._settle_running(node, old, register.running)
        self._node_registry.join(node)
        return node

    def heartbeat(self, node: Node, beat: Heartbeat) -> None:
        """Renew the lease of `node` and settle what it runs with what it should run."""
        if not node.connected:
            node.link.send(Reregister("lease_ended"))
            return
        node.seen_ms = self._clock.now_ms()
        running = dict(beat.running)
        for job_id, attempt in running.items():
            job = node.reservations.get(job_id)
            if job is None or job.attempt != attempt:
                node.link.send(CancelAttempt(job_id, attempt))
        lost = []
        for job_id, job in node.reservations.items():
            if running.get(job_id) == job.attempt:
                node.missing.pop(job_id, None)
            else:
                node.missing[job_id] = node.missing.get(job_id, 0) + 1
                if node.missing[job_id] >= BEATS_MISSED_MAX:
                    lost.append(job)
        for job in lost:
            self._dispatcher.redispatch(job, node, "assign_lost")
        self._node_registry.beat(node)

    def result(self, node: Node, result: NodeResult) -> None:
        """Take the answer of `node` for an attempt; one that it doesn't hold (any more) changes nothing."""
        job = node.reservations.get(result.job_id)
        if job is None or job.attempt != result.attempt:
            trace = checked(result.trace)
            self._observer.late_result(result.job_id, result.attempt, node.node_id, trace)
            node.link.send(Error("not_held", f"{node.node_id} doesn't hold {result.job_id} attempt {result.attempt}"))
            return
        node.seen_ms = self._clock.now_ms()
        if result.busy:
            self._dispatcher.redispatch(job, node, BUSY, counted=False)
            self._rest(node, self._busy_rest_ms, until_beat=True, reason="busy")
        elif result.error is not None:
            reason, detail = _trusted(result.error)
            if result.error.retryable:
                detail = f"{reason}: {detail}" if detail else reason
                self._dispatcher.redispatch(job, node, ERROR, detail=detail)
            else:
                self._dispatcher.end(job, FAILED, reason=reason, detail=detail)
            self._node_registry.count_failure(node)
        else:
            node.failures_in_a_row = 0
            self._dispatcher.end(job, COMPLETED, output=result.output)

    def wants(self, node: Node, partial: NodePartial) -> bool:
        """Return whether a client wants this partial result: it is of an attempt that `node` has."""
        job = node.reservations.get(partial.job_id)
        return job is not None and job.attempt == partial.attempt and self._dispatcher.wants_partials(job)

    def partial(self, node: Node, partial: NodePartial) -> None:
        """Pass on a partial result that a client wants. It renews no lease."""
        self._dispatcher.partial(node.reservations[partial.job_id], partial)

    def drain(self, node: Node, on: bool) -> None:
        """Give `node` no new jobs, or give it jobs again; what it has it keeps."""
        if node.connected:
            self._node_registry.drain(node, on)

    def left(self, node: Node) -> None:
        """Note that the connection of `node` is closed: its jobs go to other nodes at once."""
        if node.connected:
            self._lose(node, "closed")
        node.link = ENDED_LINK  # an answer on its way may still name the node; nothing needs its socket

    def silent(self, node: Node) -> None:
        """The lease of `node` has ended (leases.py): its jobs go to other nodes, and it must register again."""
        node.link.send(Reregister("lease_ended"))
        self._lose(node, "lapsed")

    def _settle_running(self, node: Node, old: Node | None, running: list[tuple[str, int]]) -> None:
        """Move what `node` still runs from its older connection; redispatch the rest; cancel what nobody knows."""
        held = {} if old is None else dict(old.reservations)
        others = []
        for job_id, attempt in running:
            job = held.get(job_id)
            if job is not None and job.attempt == attempt:
                node.reservations[job_id] = held.pop(job_id)
            else:
                others.append((job_id, attempt))
        for job_id, attempt in others:  # after those above: of two attempts of a job only one is reserved
            claimed = None if job_id in node.reservations else self._dispatcher.claim(node, job_id, attempt)
            if claimed is None:
                node.link.send(CancelAttempt(job_id, attempt))
            else:
                node.reservations[job_id] = claimed
        if old is None:
            return
        self._node_registry.forget(old)
        if old.process_id == node.process_id:
            if old.draining:
                node.move(DRAIN)
        else:
            node.replaces = old.generation
        if old.link is not node.link:
            old.link.close("replaced")
        for job in held.values():
            self._dispatcher.redispatch(job, old, "reregistered")
        old.reservations.clear()

    def _lose(self, node: Node, reason: str) -> None:
        jobs = list(node.reservations.values())
        self._node_registry.leave(node, reason)
        for job in jobs:
            self._dispatcher.redispatch(job, node, reason)

    def _rest(self, node: Node, rest_ms: int, until_beat: bool, reason: str) -> None:
        if node.connected:
            self._node_registry.rest(node, self._clock.now_ms() + rest_ms, until_beat, reason)


def _trusted(error: WorkError) -> tuple[str, str]:
    """Return reason and detail of an error as a node gives them, made fit for every client.

    The reason must be a stable word and none of the scheduler's own, which have consequences, such as `stopping`.
    Otherwise it becomes `engine_error`, and what the node wrote stands in the detail.
    """
    reason = error.reason
    if reason and word(reason) == reason and (reason in OF_WORKERS or reason not in ENDS):
        return reason, cleaned(error.detail)
    return ENGINE_ERROR, cleaned(f"{reason}: {error.detail}" if error.detail else reason)
