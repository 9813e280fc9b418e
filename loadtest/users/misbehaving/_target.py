"""The scheduler for misbehaving users: its address, and helpers that send messages and check answers.

Nothing here depends on Locust; tests run each misbehaviour against a scheduler.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

import msgspec

from voxpool.loadtest.users import _audio
from voxpool.loadtest.users._wire import Wire
from voxpool.scheduler.protocol.codec import to_client, to_node
from voxpool.scheduler.protocol.messages import (
    Assign,
    Error,
    Hello,
    JobResult,
    NodeResult,
    Register,
    Registered,
    Submit,
    ToClient,
    ToNode,
    Welcome,
)
from voxpool.scheduler.sdk.wire.connection import door_url

T = TypeVar("T")

PATIENCE_S = 10.0
"""Timeout of an answer; longer than the rest of a node that answered busy."""
WORK_S = 0.02
AUDIO_BYTES = 400


class Wrong(Exception):
    """The scheduler reacted wrongly; the text is the reason."""


@dataclass
class Target:
    """The target of a misbehaving user. `pair` is served by nodes, `own_pair` is only used by this user."""

    url: str
    name: str
    pair: str
    own_pair: str
    client_token: str = ""
    node_token: str = ""
    tls: ssl.SSLContext | None = None
    numbers: Iterator[int] = field(default_factory=count)

    def fresh(self, kind: str) -> str:
        """Return an unused id."""
        return f"{self.name}-{kind}{next(self.numbers)}"

    def client_wire(self, binary: bool = False) -> Wire[ToClient]:
        """Return a new connection to the clients' endpoint."""
        return Wire.open(door_url(self.url, "/ws/session"), to_client, binary=binary, tls=self.tls)

    def node_wire(self, binary: bool = False) -> Wire[ToNode]:
        """Return a new connection to the nodes' endpoint."""
        return Wire.open(door_url(self.url, "/ws/node"), to_node, binary=binary, tls=self.tls)

    @contextmanager
    def session(self, session_id: str = "", binary: bool = False, resume: bool = False) -> Iterator[Wire[ToClient]]:
        """Yield a welcomed session; it sends goodbye at the end if possible."""
        wire = self.client_wire(binary)
        try:
            session_id = session_id or self.fresh("s")
            wire.send(Hello(session_id=session_id, token=self.client_token or None, resume=resume))
            expect(wire, Welcome)
            yield wire
        finally:
            wire.close()

    @contextmanager
    def node(self, node_id: str, binary: bool = False, slots: int = 1) -> Iterator[Wire[ToNode]]:
        """Yield a node registered for `own_pair`; it sends goodbye at the end if possible."""
        wire = self.node_wire(binary)
        try:
            wire.send(self.register(node_id, slots))
            expect(wire, Registered)
            yield wire
        finally:
            wire.close()

    def register(self, node_id: str, slots: int = 1) -> Register:
        """Return the register of a new process."""
        process_id = self.fresh("p")
        return Register(node_id, process_id, [self.own_pair], slots, [], token=self.node_token or None)

    def submit(self, pair: str = "", **more: Any) -> Submit:
        """Return a valid submit with little work for `pair`."""
        number = next(self.numbers)
        return Submit(f"{self.name}-{number}", pair or self.pair, _audio.make(WORK_S, number, AUDIO_BYTES), **more)


def expect(wire: Wire[Any], kind: type[T], patience_s: float = PATIENCE_S) -> T:
    """Return the next message of `kind`, skipping others; an error is not skipped."""
    end_s = time.monotonic() + patience_s
    while True:
        message = wire.receive(max(0.01, end_s - time.monotonic()))
        if isinstance(message, kind):
            return message
        if isinstance(message, Error):
            raise Wrong(f"error_{message.reason}")


def refused(wire: Wire[Any], reason: str) -> None:
    """Check that the next error has `reason`."""
    found = expect(wire, Error).reason
    if found != reason:
        raise Wrong(f"{found}_for_{reason}")


def answer(assign: Assign) -> NodeResult:
    """Return the right answer to `assign`."""
    output = msgspec.to_builtins(_audio.answer_to(assign.audio, _audio.order_of(assign.audio)))
    return NodeResult(assign.job_id, assign.attempt, output)


def check(holds: bool, word: str) -> None:
    """Raise Wrong(`word`) unless `holds`."""
    if not holds:
        raise Wrong(word)


def completed(result: JobResult) -> None:
    """Check that the job was completed."""
    check(result.state == "completed", f"{result.state}_{result.error}")


def silence(wire: Wire[Any], seconds: float, kind: type[Any]) -> None:
    """Check that no message of `kind` arrives for `seconds`."""
    end_s = time.monotonic() + seconds
    while (left_s := end_s - time.monotonic()) > 0:
        try:
            message = wire.receive(left_s)
        except TimeoutError:
            return
        check(not isinstance(message, kind), f"{kind.__name__.lower()}_too_many")
