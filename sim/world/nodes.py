"""The model of a worker node: it registers, beats, runs at most its slots at its speed, answers; and breaks.

It keeps the protocol that a real worker keeps and knows the scheduler only through messages. What it is given to do
comes beside the message (the request's `work_s`), since there is no audio to look at.
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
from voxpool.sim.world.door import Door
from voxpool.sim.world.links import Connection

RECONNECT_S = (0.25, 0.75)
"""A worker whose connection closed tries again after a pause between these."""

HEARTBEAT_S = 15.0
"""Beats before the scheduler has sent the interval; the same as in the SDK."""

UP = "up"
FROZEN = "frozen"
DOWN = "down"


class Work(msgspec.Struct, gc=False, eq=False):
    """One attempt on a node. `timer` counts its endings that were planned: only the last one counts."""

    job_id: str
    attempt: int
    request: Request
    started_at: float
    ends_at: float
    timer: int = 0

    def __repr__(self) -> str:
        return f"<work {self.job_id}|{self.attempt}>"


class SimNode:
    """One node. `running` maps job ids to its work; `output` is what every job's result carries."""

    output: Any = None

    def __init__(
        self, door: Door, node_id: str, pairs: list[str], slots: int, speed: float, random: random.Random
    ) -> None:
        self.node_id = node_id
        self.pairs = pairs
        self.slots = slots
        self.speed = speed
        self.state = DOWN
        self.busy = False
        """Answers busy to whatever it is given."""
        self.running: dict[str, Work] = {}
        self.busy_s = 0.0
        """Seconds of work, over all slots, of what has ended here."""
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
        """True when its process would answer a ping now."""
        return self.state == UP

    @property
    def is_whole(self) -> bool:
        """True when nothing is broken: a fault may strike."""
        return self.state == UP and not self._is_leaving

    # ---- its life

    def start(self) -> None:
        """Start a new process, which connects and registers."""
        assert self.state == DOWN, self
        self.state = UP
        self._is_leaving = False
        self._processes += 1
        self._connect()

    def crash(self) -> None:
        """The process dies with all it runs; its socket closes."""
        connection = self._die()
        if connection is not None:
            connection.close_by_node()

    def vanish(self) -> None:
        """The machine is gone with all it runs; its socket stays open at the scheduler."""
        connection = self._die()
        if connection is not None:
            connection.vanish()

    def freeze(self) -> None:
        """The process stands still: it reads nothing, sends nothing, works on nothing."""
        assert self.state == UP, self
        self.state = FROZEN
        self._thawed = self._env.event()
        for work in self.running.values():
            work.timer += 1
            work.ends_at -= self._env._now  # what is left

    def thaw(self) -> None:
        """The process goes on where it stood; messages have piled up in its socket."""
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
        """Leave in order: take nothing new, end what runs, close."""
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
        """The next process has a name that was never used."""
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
        """Say anew who it is, on the connection that it has."""
        if self.connection is not None and self.state == UP:
            self._register()

    def change_connection(self) -> Connection | None:
        """Connect anew, and return the older connection, on which nothing goes any more."""
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
        """The scheduler has closed the connection: try again after a pause."""
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
        """Beat on the present connection from now on; an older beating ends."""
        assert self.connection is not None
        self._heartbeat_s = period_s
        self._beatings += 1
        self._env.process(self._beating(self.connection, self._beatings))

    def _beating(self, connection: Connection, number: int) -> Generator[simpy.Event, None, None]:
        """Beat on `connection` as long as it is the node's: a SimPy process. A frozen node beats when it thaws."""
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
        """A message has come in on `connection`; with an assign comes the request that it is for."""
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
        """Begin to work on `assign`, or answer busy when there is no slot."""
        older = self.running.get(assign.job_id)
        if older is not None:
            if older.attempt >= assign.attempt:
                return  # the link has brought it twice
            self._stop(older)
        if self.busy or len(self.running) >= self.slots:
            self._send(NodeResult(assign.job_id, assign.attempt, busy=True))
            return
        now, left_s = self._env._now, request.work_s / self.speed
        if self._overhead_s is not None:
            left_s += self._overhead_s()
        work = Work(assign.job_id, assign.attempt, request, now, now + left_s)
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
        """`work` is done, unless its ending was planned anew since."""
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
        """Return the answer for work that is done."""
        return NodeResult(work.job_id, work.attempt, self.output)

    def _stop(self, work: Work) -> None:
        work.timer += 1
        del self.running[work.job_id]
        self.busy_s += self._env._now - work.started_at
        self._hub.work_ended(self, work, False)
