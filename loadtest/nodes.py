"""Node users: lightweight worker nodes that serve jobs by a timer.

Each registers, sends heartbeats, answers assigns and obeys cancels, as in the protocol. Errors of the scheduler are
failures: more assigns than slots, a pair that isn't served, an end of the connection.
"""

from __future__ import annotations

import time
from typing import Any

import gevent
import msgspec
from gevent.event import Event
from locust import User, tag, task

from voxpool.loadtest.users import _audio
from voxpool.loadtest.users._reasons import why_lost
from voxpool.loadtest.users._traffic import NODE, Traffic, traffic_of
from voxpool.loadtest.users._wire import Closed, NotOpened, Wire
from voxpool.scheduler.chance import fresh_random
from voxpool.scheduler.errors import BadInput
from voxpool.scheduler.protocol.codec import to_node
from voxpool.scheduler.protocol.messages import (
    Assign,
    CancelAttempt,
    Drain,
    Error,
    Heartbeat,
    NodeResult,
    Register,
    Registered,
    Reregister,
    ToNode,
)
from voxpool.scheduler.sdk.wire.backoff import Backoff
from voxpool.sim.chance.seeds import plain_random

HEARTBEAT_S = 15.0
"""Heartbeat interval until the scheduler has sent one."""
ANSWER_S = 10.0
LOOK_S = 1.0
DRAIN_LOOK_S = 0.05
NOT_HELD = "not_held"

Attempt = tuple[str, int]


class NodeUser(User):
    """A worker node. Its task sends heartbeats; assigned jobs run in separate greenlets."""

    part = "node"

    def on_start(self) -> None:
        """Take a number and the kind of node, and register."""
        self.traffic: Traffic = traffic_of(self.environment)
        self.options = self.traffic.context.options
        self.number = self.traffic.enter("node")
        self.name = self.traffic.name("node", self.number)
        self.kind = self.traffic.workload.node(self.traffic.node_index(self.number))
        self.pairs = frozenset(self.kind.pairs)
        self.served = ",".join(self.kind.pairs)
        share = self.options.messagepack_share
        self.binary = int((self.number + 1) * share) > int(self.number * share)
        self.random = fresh_random()
        self.heartbeat_s = HEARTBEAT_S
        self.wire: Wire[ToNode] | None = None
        self.beat_s: float | None = None
        """Time of the last heartbeat whose pong has not arrived."""
        self.tried = Event()
        self.churn: Any = None
        self._new_process()
        self.tried.wait()
        if self.options.shape == "churn":
            self.churn = gevent.spawn(self._come_and_go)

    def wait_time(self) -> float:
        """Return the seconds until the next heartbeat, or until the next check of the registration."""
        return self.heartbeat_s if self.registered else LOOK_S

    @tag("heartbeat")
    @task
    def beat(self) -> None:
        """Send a heartbeat and a ping after it: the pong shows when the scheduler has handled the heartbeat."""
        wire = self.wire
        if wire is None or not self.registered:
            return
        if self.beat_s is not None:
            self.traffic.tell(NODE, "heartbeat", time.monotonic() - self.beat_s, 0, "no_answer")
        self.beat_s = time.monotonic()
        wire.on_pong = self._beat_was_taken
        try:
            wire.send(Heartbeat(self._holding(), load=len(self.running) / self.kind.slots))
            wire.ping(b"beat")
        except Closed:
            pass  # the reader notices it, too

    def on_stop(self) -> None:
        """Drain for at most `drain_s`: take no new jobs, finish the running ones, and leave."""
        if self.churn is not None:
            self.churn.kill()
        self._leave()
        self.traffic.leave("node", self.number)

    # ---- churn

    def _new_process(self) -> None:
        self.process_id = f"p-{self.random.getrandbits(64):016x}"
        self.registered = self.leaving = self.gone = False
        self.running: dict[Attempt, Any] = {}
        self.unsent: dict[Attempt, NodeResult] = {}
        self.reader = gevent.spawn(self._stay_connected)

    def _come_and_go(self) -> None:
        """Leave and come back as another process, every other time without a goodbye."""
        chance = plain_random(self.options.seed, f"churn/{self.traffic.node_index(self.number)}")
        while True:
            gevent.sleep(chance.expovariate(1 / self.options.churn_stay_s))
            if chance.random() < 0.5:
                self._leave()
            else:
                self._die()
            if self.options.churn_away_s:
                gevent.sleep(chance.expovariate(1 / self.options.churn_away_s))
            self._new_process()

    def _leave(self) -> None:
        self.leaving = True
        if self.wire is not None and self.registered:
            try:
                self.wire.send(Drain(True))
            except Closed:
                self.registered = False
        end_s = time.monotonic() + self.options.drain_s
        while self.running and time.monotonic() < end_s:
            gevent.sleep(DRAIN_LOOK_S)
        self.gone = True
        if self.wire is not None:
            self.wire.close()
        self._die()

    def _die(self) -> None:
        self.gone = True  # the end of the connection is intended
        self.reader.kill()
        for timer in self.running.values():
            timer.kill(block=False)
        self.running.clear()

    def _beat_was_taken(self, data: bytes) -> None:
        if self.beat_s is not None:
            self.traffic.tell(NODE, "heartbeat", time.monotonic() - self.beat_s)
            self.beat_s = None

    # ---- the reader

    def _stay_connected(self) -> None:
        backoff = Backoff(self.random)
        while True:
            began_s = time.monotonic()
            try:
                with self.traffic.connecting:
                    began_s = time.monotonic()
                    self.wire = wire = self._open()
                    wire.send(self._register())
                    self._on_message(wire, wire.receive(ANSWER_S))
                self.tried.set()
                if self.registered:
                    self.traffic.tell(NODE, "register", time.monotonic() - began_s)
                    backoff.reset()
                while True:
                    self._on_message(wire, wire.receive())
            except (Closed, NotOpened, BadInput, TimeoutError) as error:
                if self.gone:
                    return
                self.tried.set()
                self.traffic.tell(NODE, "register", time.monotonic() - began_s, 0, why_lost(error))
            finally:
                self.registered = False
                self.beat_s = None
                if self.wire is not None:
                    self.wire.abort()
                    self.wire = None
            gevent.sleep(backoff.pause_s())

    def _open(self) -> Wire[ToNode]:
        door = self.traffic.door("/ws/node", self.number)
        return Wire.open(door, to_node, binary=self.binary, tls=self.traffic.tls)

    def _register(self) -> Register:
        return Register(
            self.name,
            self.process_id,
            list(self.kind.pairs),
            self.kind.slots,
            self._holding(),
            version="loadtest",
            token=self.options.node_token or None,
        )

    def _holding(self) -> list[Attempt]:
        return [*self.running, *self.unsent]

    def _on_message(self, wire: Wire[ToNode], message: ToNode) -> None:
        if isinstance(message, Assign):
            self._assigned(wire, message)
        elif isinstance(message, CancelAttempt):
            self._cancel((message.job_id, message.attempt))
        elif isinstance(message, Registered):
            self.registered = True
            self.traffic.counts.stands(",".join(self.kind.pairs), self.name)
            self.heartbeat_s = message.heartbeat_ms / 1000
            if self.leaving:
                wire.send(Drain(True))
            for attempt, result in list(self.unsent.items()):
                self._answer(attempt, result)
        elif isinstance(message, Reregister):
            wire.send(self._register())
        elif isinstance(message, Error):
            if message.reason != NOT_HELD:
                raise BadInput(message.reason, message.detail)
            self.traffic.counts.late_results += 1

    def _assigned(self, wire: Wire[ToNode], assign: Assign) -> None:
        attempt = (assign.job_id, assign.attempt)
        if attempt in self.running or attempt in self.unsent:
            self.traffic.tell(NODE, "assign", 0.0, 0, "twice")
            return
        if assign.pair not in self.pairs:
            self.traffic.tell(NODE, "assign", 0.0, 0, "wrong_pair")
        if self.leaving or len(self.running) >= self.kind.slots:
            if not self.leaving:
                self.traffic.tell(NODE, "assign", 0.0, 0, "over_slots")
            self.traffic.counts.busy += 1
            wire.send(NodeResult(assign.job_id, assign.attempt, busy=True))
            return
        order = _audio.order_of(assign.audio)
        work_s = 0.0 if order is None else order.work_s / self.kind.speed
        output = msgspec.to_builtins(_audio.answer_to(assign.audio, order))
        came_s = time.monotonic()
        self.running[attempt] = gevent.spawn_later(work_s, self._done, attempt, output, came_s)

    def _cancel(self, attempt: Attempt) -> None:
        self.unsent.pop(attempt, None)
        timer = self.running.pop(attempt, None)
        if timer is not None:
            timer.kill(block=False)
        self.traffic.tell(NODE, "cancel", 0.0)

    def _done(self, attempt: Attempt, output: Any, came_s: float) -> None:
        if self.running.pop(attempt, None) is None:
            return
        self.traffic.tell(NODE, "work", time.monotonic() - came_s)
        self.traffic.counts.answered(self.served, self.name)
        self._answer(attempt, NodeResult(*attempt, output))

    def _answer(self, attempt: Attempt, result: NodeResult) -> None:
        """Send `result`, or keep it for the next connection."""
        self.unsent[attempt] = result
        if self.wire is None or not self.registered:
            return
        try:
            self.wire.send(result)
        except Closed:
            return
        self.unsent.pop(attempt, None)
