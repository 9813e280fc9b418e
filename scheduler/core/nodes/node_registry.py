"""The connected nodes, and what is written about them to the store: register, beat, rest, drain, offline.

It decides about nodes only; the dispatcher decides about their jobs.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from itertools import islice

from voxpool.scheduler.config import Settings, ms
from voxpool.scheduler.core.admission.intake import Intake
from voxpool.scheduler.core.clock import Clock, Deadlines
from voxpool.scheduler.core.jobs.waiting import WaitingJobs
from voxpool.scheduler.core.nodes.node import (
    DRAIN,
    DRAINING,
    END_REST,
    LEAVE,
    REGISTER,
    REGISTERED,
    REST,
    RESTING,
    UNDRAIN,
    Node,
)
from voxpool.scheduler.core.script_queue import ScriptQueue, ignore_answer
from voxpool.scheduler.core.scripts import Reply, drain_node, node_offline, register_node
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.protocol.messages import Registered

REGISTERS_AT_ONCE = 200
"""Nodes that are registered again before other calls get their turn (a flush takes 256 calls)."""
DOUBT_MS = 250
"""Time between two looks whether the store still has the nodes that it found no room on."""
DOUBTED_MAX = 20
"""Nodes that one such look asks for."""
LOOKED_MAX = 2000
"""Nodes that one such look goes through; in a larger node_registry the next beat is never far."""


class NodeRegistry:
    """The nodes connected to this scheduler, by id. At most one connection a node counts: the newest.

    Each register has a new generation. The store names it in an allocation, and an allocation counts only while it is
    the generation of the connection here: so nothing is sent on the strength of what an earlier life of the node had.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        queue: ScriptQueue,
        waiting: WaitingJobs,
        intake: Intake,
        deadlines: Deadlines[Node],
        observer: Observer,
        instance: str,
    ) -> None:
        self.nodes: dict[str, Node] = {}
        self._clock = clock
        self._queue = queue
        self._waiting = waiting
        self._intake = intake
        self._deadlines = deadlines
        self._observer = observer
        self._instance = instance
        self._registers = 0
        self._to_register: deque[Node] = deque()
        """Nodes that register_all has marked and whose turn hasn't come."""
        self._is_registering = False
        self._doubted: set[str] = set()
        """Pairs for which the store found no node since the last look."""
        self._looked_ms = 0
        self._rest_after_failures = settings.rest_after_failures
        self._rest_ms = ms(settings.rest_s)
        self.heartbeat_ms = ms(settings.heartbeat_s)
        self.lease_ms = ms(settings.lease_s)
        self.reservation_ms = ms(settings.dispatch_timeout_s) + self.lease_ms
        """How long a reservation lasts at most: until its job has timed out and its node's lease has ended."""

    def __len__(self) -> int:
        return len(self.nodes)

    def find(self, node_id: str) -> Node | None:
        """Return the connection of that node, or None."""
        return self.nodes.get(node_id)

    def join(self, node: Node) -> None:
        """Take `node` in, in place of an older connection of its name, and register it with the store."""
        self.nodes[node.node_id] = node
        self._count(node)
        self._deadlines.set(node, node.seen_ms + self.lease_ms)
        self.register(node)

    def register(self, node: Node) -> None:
        """Register `node` under a new generation; it keeps what `node.reservations` names, the store frees the rest."""
        self._registers += 1
        node.generation = f"{self._instance}-{self._registers}"
        node.move(REGISTER)
        node.is_to_register = False
        self._send_register(node)

    def register_all(self) -> None:
        """Register every node, some hundreds at a time: the store has lost its data, or may have.

        A hundred thousand at once would stop the loop for seconds, and let jobs and beats wait behind them.
        """
        for node in self.nodes.values():
            node.is_to_register = True
        self._to_register = deque(self.nodes.values())
        if not self._is_registering:
            self._register_some()

    def beat(self, node: Node) -> None:
        """Renew the lease of `node`, and end a rest that was to last until this beat."""
        if node.rest_is_until_beat:
            self.end_rest(node)
        self._renew(node)

    def doubt(self, pair: str) -> None:
        """Note that the store found no node for `pair`; when one with room is connected here, renew its lease to check
        it.

        An emptied store gives no other sign, and the next beat may come after the waiting timeout.
        """
        self._doubted.add(pair)
        self.settle_doubts()

    def settle_doubts(self) -> None:
        """Ask the store for nodes that it should have found, at most DOUBTED_MAX of them every DOUBT_MS."""
        now_ms = self._clock.now_ms()
        if not self._doubted or now_ms - self._looked_ms < DOUBT_MS:
            return
        doubted, self._doubted = self._doubted, set()
        self._looked_ms = now_ms
        asked = 0
        for node in islice(self.nodes.values(), LOOKED_MAX):
            if node.has_room and not doubted.isdisjoint(node.pairs):
                self._renew(node)
                asked += 1
                if asked == DOUBTED_MAX:
                    break
        if asked:
            self._queue.nudge()  # without the wait for others that other beats have

    def _renew(self, node: Node) -> None:
        self._queue.heartbeat(node.node_id, node.generation, partial(self._beat_answered, node, node.generation))

    def leave(self, node: Node, reason: str) -> None:
        """Drop `node` and remove it from the store; its jobs stay in `node.reservations` for the caller."""
        del self.nodes[node.node_id]
        self.forget(node)
        self._queue.call(node_offline(node.node_id, node.generation), ignore_answer)
        self._observer.node_offline(node, reason)

    def forget(self, node: Node) -> None:
        """Note that `node` is no longer the connection of its name."""
        node.move(LEAVE)
        self._count(node)
        self._deadlines.clear(node)

    def drain(self, node: Node, on: bool) -> None:
        """Give `node` no new jobs (it keeps what it has), or give it jobs again."""
        if node.draining != on:
            node.move(DRAIN if on else UNDRAIN)
            self._count(node)
            self._tell_flag(node, DRAINING)

    def rest(self, node: Node, until_ms: int, until_beat: bool, reason: str) -> None:
        """Give `node` no new jobs until then, or until its next beat if that comes first."""
        if node.rest_until_ms:
            node.rest_is_until_beat = node.rest_is_until_beat and until_beat
            node.rest_until_ms = max(node.rest_until_ms, until_ms)
        else:
            node.move(REST)
            node.rest_until_ms = until_ms
            node.rest_is_until_beat = until_beat
            self._tell_flag(node, RESTING)
        self._deadlines.set(node, min(node.rest_until_ms, node.seen_ms + self.lease_ms))
        self._observer.node_rests(node, node.rest_until_ms, reason)

    def count_failure(self, node: Node) -> None:
        """Count an attempt that `node` answered with an error or did not answer; after some in a row it rests.

        A node that fails every job at once always has room and would attract all jobs. One that never answers would
        cost each of its jobs a dispatch timeout.
        """
        node.failures_in_a_row += 1
        if node.failures_in_a_row == self._rest_after_failures:
            node.failures_in_a_row = 0
            if node.connected:
                self.rest(node, self._clock.now_ms() + self._rest_ms, until_beat=False, reason="failing")

    def end_rest(self, node: Node) -> None:
        """Give a resting `node` jobs again."""
        node.move(END_REST)
        node.rest_until_ms = 0
        node.rest_is_until_beat = False
        self._tell_flag(node, RESTING)

    def look_at(self, node: Node, now_ms: int, not_before_ms: int) -> bool:
        """Return whether the lease of `node` has ended, end its rest if that is over, and set when to look again.

        No lease ends before `not_before_ms`: after a stall of this process its nodes get the time of a beat.
        """
        lease_end_ms = max(node.seen_ms + self.lease_ms, not_before_ms)
        if lease_end_ms <= now_ms:
            return True
        if node.rest_until_ms and node.rest_until_ms <= now_ms:
            self.end_rest(node)
        self._deadlines.set(node, min(lease_end_ms, node.rest_until_ms or lease_end_ms))
        return False

    def _count(self, node: Node) -> None:
        """Let the intake know when `node` begins or ceases to take jobs of its pairs. A rest is too short to count."""
        serves = node.connected and not node.draining
        if serves != node.is_counted:
            node.is_counted = serves
            sign = 1 if serves else -1
            self._intake.serve(node.pairs, sign, sign * node.slots)

    def _tell_flag(self, node: Node, flag: str) -> None:
        """Send the store whether `node` has `flag` now; a change before the answer is sent after it."""
        if node.flags_sent.get(flag) == node.generation:
            return
        on = flag in node.flags
        node.flags_sent[flag] = node.generation
        call = drain_node(node.node_id, node.generation, flag, on)
        self._queue.call(call, partial(self._flag_answered, node, flag, on))
        if not on:
            self._waiting.room(node.pairs, node.slots)

    def _flag_answered(self, node: Node, flag: str, was_on: bool, _answer: list[str]) -> None:
        node.flags_sent.pop(flag, None)
        if node.connected and (flag in node.flags) != was_on:
            self._tell_flag(node, flag)

    def _send_register(self, node: Node) -> None:
        now_ms = self._clock.now_ms()
        call = register_node(
            now_ms,
            self.lease_ms,
            node.node_id,
            node.generation,
            node.process_id,
            node.slots,
            node.flags,
            node.pairs,
            node.replaces,
            [(job.reservation, job.deadline_ms + self.lease_ms) for job in node.reservations.values()],
        )
        self._queue.call(call, partial(self._register_answered, node, node.generation))
        self._waiting.room(node.pairs, node.slots)

    def _register_some(self) -> None:
        """Register the next of the marked nodes; the answer to the last of them brings those after it."""
        left = REGISTERS_AT_ONCE
        while left and self._to_register:
            node = self._to_register.popleft()
            if node.connected and node.is_to_register:
                self.register(node)
                left -= 1
        self._is_registering = left < REGISTERS_AT_ONCE
        if self._is_registering:
            self._queue.when_answered(self._register_some)

    def _register_answered(self, node: Node, generation: str, answer: list[str]) -> None:
        if not node.connected or node.generation != generation:
            return
        if answer[0] == Reply.TAKEN:
            # Another process under this name, which isn't connected here (else the dispatcher had asked it): the
            # leftovers of a dead scheduler. Its generation is named, so that only this one can be replaced.
            node.replaces = answer[1]
            self._send_register(node)
            return
        node.move(REGISTERED)
        node.link.send(Registered(generation, self.heartbeat_ms, self.lease_ms))
        self._observer.node_registered(node)

    def _beat_answered(self, node: Node, generation: str, reply: str) -> None:
        if reply == Reply.OK or not node.connected or node.generation != generation:
            return
        if reply == Reply.UNKNOWN:
            # The store has lost this node: its lease ended there, or all data are gone. One lost node is the sign
            # by which a flushed store is noticed, so all register; later answers name an older generation, or are
            # those of nodes whose turn is still to come.
            if not node.is_to_register:
                self.register_all()
        else:
            node.link.close("replaced")
