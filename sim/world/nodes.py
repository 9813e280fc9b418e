"""The model of a worker node: it registers, sends heartbeats, runs jobs at its speed, answers; and fails.

It follows the protocol of a real worker and knows the scheduler only through messages. The duration of its work is
passed beside the message (the request's `work_s`), because the audio has no content.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from typing import Any

import msgspec
import simpy

from voxpool.scheduler.protocol.messages import (
    Assign,
    CancelAttempt,
    Drain,
    FromNode,
    Heartbeat,
    NodeResult,
    Register,
    Registered,
    Reregister,
    ToNode,
)
from voxpool.sim.world.clients import Request
from voxpool.sim.world.content import output_of
from voxpool.sim.world.door import Door
from voxpool.sim.world.links import Connection

RECONNECT_S = (0.25, 0.75)
"""Range of the pause after which a worker reconnects."""

HEARTBEAT_S = 15.0
"""Heartbeat interval before the scheduler has sent one; the same as in the SDK."""

UP = "up"
FROZEN = "frozen"
DOWN = "down"


class Work(msgspec.Struct, gc=False, eq=False):
    """One attempt on a node. `timer` is the number of its latest timer: earlier ones are ignored."""

    job_id: str
    attempt: int
    request: Request
    started_at: float
    ends_at: float
    timer: int = 0
    output: Any = None

    def __repr__(self) -> str:
        return f"<work {self.job_id}|{self.attempt}>"


class SimNode:
    """One node. `running` maps job ids to work."""

    def __init__(
        self, door: Door, node_id: str, pairs: list[str], slots: int, speed: float, random: random.Random
    ) -> None:
        self.node_id = node_id
        self.pairs = pairs
        self.slots = slots
        self.speed = speed
        self.state = DOWN
        self.busy = False
        """True while it answers busy to every assign."""
        self.running: dict[str, Work] = {}
        self.busy_s = 0.0
        """Seconds of work of all ended attempts, summed over slots."""
        self.connection: Connection | None = None
        self.door = door
        self._loop = door.loop
        self._env = door.env
        self._hub = door.hub
        self._overhead_s = door.overhead_s
        self._random = random
        self._processes = 0
        self.first_id = node_id
        self._is_leaving = False
        self._heartbeat_s = HEARTBEAT_S
        self._beatings = 0
        self._unsent: list[NodeResult] = []
        self._inbox: list[tuple[Connection, ToNode | None, Request | None]] = []
        self._thawed = door.env.event()

    def __repr__(self) -> str:
        return f"<sim node {self.node_id} {self.state} {len(self.running)}/{self.slots}>"

    @property
    def answers(self) -> bool:
        """True when the process answers a ping now."""
        return self.state == UP

    @property
    def is_whole(self) -> bool:
        """True when the node has no fault, so that one can begin."""
        return self.state == UP and not self._is_leaving

    # ---- its life

    def start(self) -> None:
        """Start a new process that connects and registers."""
        assert self.state == DOWN, self
        self.state = UP
        self._is_leaving = False
        self._processes += 1
        self._connect()

    def crash(self) -> None:
        """Kill the process with all its work; its socket closes."""
        connection = self._die()
        if connection is not None:
            connection.close_by_node()

    def vanish(self) -> None:
        """Remove the machine with all its work; its socket stays open at the scheduler."""
        connection = self._die()
        if connection is not None:
            connection.vanish()

    def freeze(self) -> None:
        """Pause the process: it neither reads, sends nor works."""
        assert self.state == UP, self
        self.state = FROZEN
        self._thawed = self._env.event()
        for work in self.running.values():
            work.timer += 1
            work.ends_at -= self._env._now  # the remaining work

    def thaw(self) -> None:
        """Resume the process; messages have queued up in its socket."""
        assert self.state == FROZEN, self
        self.state = UP
        for work in list(self.running.values()):
            self._plan(work, work.ends_at)
        inbox, self._inbox = self._inbox, []
        for connection, message, request in inbox:
            if message is None:
                self.connection_closed(connection)
            else:
                self.receive(connection, message, request)
        self._thawed.succeed()

    def leave(self) -> None:
        """Drain: accept no new jobs, finish the running ones, close."""
        self._is_leaving = True
        self._send(Drain(True))
        self._leave_when_empty()

    def _leave_when_empty(self) -> None:
        if self._is_leaving and not self.running and not self._unsent and self.state == UP:
            self.crash()

    def _die(self) -> Connection | None:
        self.state = DOWN
        for work in list(self.running.values()):
            self._stop(work)
        self._unsent.clear()
        self._inbox.clear()
        connection, self.connection = self.connection, None
        return connection

    def take_new_id(self) -> None:
        """Give the next process an id that was never used."""
        assert self.state == DOWN, self
        self.node_id = f"{self.first_id}.{self._processes + 1}"
        self.door.nodes[self.node_id] = self

    # ---- its connection

    def _connect(self) -> None:
        self.connection = self.door.open(self)
        if self.connection is not None:
            self._register()
            self._beat_every(HEARTBEAT_S)
        else:
            self._connect_later()

    def register_again(self) -> None:
        """Register again on the current connection."""
        if self.connection is not None and self.state == UP:
            self._register()

    def change_connection(self) -> Connection | None:
        """Open a new connection, and return the old one, which is no longer used."""
        older = self.connection
        if older is not None and self.state == UP:
            older.vanish()
            self._connect()
        return older

    def _register(self) -> None:
        assert self.connection is not None
        process_id = f"{self.node_id}.{self._processes}"
        self.connection.to_scheduler(Register(self.node_id, process_id, self.pairs, self.slots, self._named()))

    def _named(self) -> list[tuple[str, int]]:
        named = [(work.job_id, work.attempt) for work in self.running.values()]
        return named + [(result.job_id, result.attempt) for result in self._unsent] if self._unsent else named

    def connection_closed(self, connection: Connection) -> None:
        """Reconnect after a pause, because the scheduler has closed the connection."""
        if self.state == FROZEN:
            self._inbox.append((connection, None, None))
        elif connection is self.connection:
            self.connection = None
            self._connect_later()

    def _connect_later(self) -> None:
        self._loop.after(self._random.uniform(*RECONNECT_S), self._reconnect, self._processes)

    def _reconnect(self, process: int) -> None:
        if self.state == FROZEN:
            self._loop.after(RECONNECT_S[0], self._reconnect, process)
        elif self.state == UP and process == self._processes and self.connection is None:
            self._connect()

    def _send(self, message: FromNode) -> None:
        if self.connection is not None:
            self.connection.to_scheduler(message)

    def _beat_every(self, period_s: float) -> None:
        """Send heartbeats on the current connection from now on, and stop earlier ones."""
        assert self.connection is not None
        self._heartbeat_s = period_s
        self._beatings += 1
        self._env.process(self._beating(self.connection, self._beatings))

    def _beating(self, connection: Connection, number: int) -> Generator[simpy.Event, None, None]:
        """Send heartbeats while `connection` is current: a SimPy process. A frozen node sends one when it thaws."""
        period_s = self._heartbeat_s
        yield self._env.timeout(self._random.random() * period_s)
        while connection is self.connection and number == self._beatings:
            if self.state == FROZEN:
                yield self._thawed
                continue
            connection.to_scheduler(Heartbeat(self._named()))
            yield self._env.timeout(period_s)

    # ---- messages of the scheduler

    def receive(self, connection: Connection, message: ToNode, request: Request | None) -> None:
        """Handle a message that arrives on `connection`; an assign comes with its request."""
        if self.state == FROZEN:
            self._inbox.append((connection, message, request))
            return
        if connection is not self.connection:
            return
        kind = type(message)
        if kind is Assign:
            assert request is not None
            self.assigned(message, request)  # type: ignore[arg-type]
        elif kind is CancelAttempt:
            self._cancelled(message)  # type: ignore[arg-type]
        elif kind is Registered:
            self._registered(message)  # type: ignore[arg-type]
        elif kind is Reregister:
            self._register()

    def _registered(self, message: Registered) -> None:
        heartbeat_s = message.heartbeat_ms / 1000
        if heartbeat_s != self._heartbeat_s:
            self._beat_every(heartbeat_s)
        unsent, self._unsent = self._unsent, []
        for result in unsent:
            self._send(result)

    def assigned(self, assign: Assign, request: Request) -> None:
        """Begin to work on `assign`, or answer busy when no slot is free."""
        older = self.running.get(assign.job_id)
        if older is not None:
            if older.attempt >= assign.attempt:
                return  # a duplicate of the link
            self._stop(older)
        if self.busy or len(self.running) >= self.slots:
            self._send(NodeResult(assign.job_id, assign.attempt, busy=True))
            return
        now, left_s = self._env._now, request.work_s / self.speed
        if self._overhead_s is not None:
            left_s += self._overhead_s()
        output = output_of(assign.job_id, assign.audio) if self.door.has_content else None
        work = Work(assign.job_id, assign.attempt, request, now, now + left_s, output=output)
        self.running[assign.job_id] = work
        self._hub.work_started(self, work)
        self._loop.after(left_s, self.worked, work, 0)

    def _cancelled(self, message: CancelAttempt) -> None:
        work = self.running.get(message.job_id)
        if work is not None and work.attempt == message.attempt:
            self._stop(work)
        self._unsent = [
            result for result in self._unsent if result.job_id != message.job_id or result.attempt != message.attempt
        ]
        self._leave_when_empty()

    # ---- its work

    def _plan(self, work: Work, left_s: float) -> None:
        work.ends_at = self._env._now + left_s
        work.timer += 1
        self._loop.after(left_s, self.worked, work, work.timer)

    def worked(self, work: Work, timer: int) -> None:
        """End `work`, unless a later timer has replaced `timer`."""
        if work.timer != timer:
            return
        del self.running[work.job_id]
        self.busy_s += self._env._now - work.started_at
        self._hub.work_ended(self, work, True)
        self.answer(self.result_of(work))
        if self._is_leaving:
            self._leave_when_empty()

    def answer(self, result: NodeResult) -> None:
        """Send `result`, or keep it for the next connection."""
        if self.connection is not None:
            self.connection.to_scheduler(result)
        else:
            self._unsent.append(result)

    def result_of(self, work: Work) -> NodeResult:
        """Return the result of completed work."""
        return NodeResult(work.job_id, work.attempt, work.output)

    def _stop(self, work: Work) -> None:
        work.timer += 1
        del self.running[work.job_id]
        self.busy_s += self._env._now - work.started_at
        self._hub.work_ended(self, work, False)
