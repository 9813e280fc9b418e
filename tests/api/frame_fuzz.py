"""Plays scripts of frames.py at a WebSocket endpoint of a running scheduler, and checks connections and memory.

Each connection must end in one of two ways: the last message is answered, which only a working handler does, or a close
frame comes with a code that gives the reason. python -m tests.api.frame_fuzz DOOR --frames N [--seed S], or --script
'…' for the one line that a failure prints. Exit codes: 0 nothing found, 1 a failure found.
"""

from __future__ import annotations

import argparse
import itertools
import shlex
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

from tests.api import frames
from tests.api.bystander import FLAGS, Bystander
from tests.api.frames import Again, Cut, Job, Message, Raw, Script, Step
from tests.api.wire import BINARY, CLOSE, FIN, PATIENCE_S, PING, PONG, TEXT, Closed, Frame, Wire
from tests.e2e.processes import TONE, Scheduler
from voxpool.scheduler.protocol import codec

CODES = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 4000})
"""Close codes that the scheduler may send; 1011 would be a bug of ours, and 0 means that no close frame came."""
DIED = 1011
"""The code of a handler that failed. A close of the peer with that code is echoed, however (RFC 6455, 5.5.1)."""
_numbers = itertools.count(1)


class Lost(AssertionError):
    """A connection that was neither served nor closed with a reason."""


@dataclass(frozen=True)
class Door:
    """One of the two endpoints: its greeting, and a message that is always answered."""

    name: str
    path: str
    kinds: dict[str, SearchStrategy[dict[str, Any]]]
    greeting: dict[str, Any]
    last_word: Callable[[str], dict[str, Any]]
    answers: codec.Codec[Any]


DOORS = {
    "session": Door(
        "session",
        "/ws/session",
        frames.CLIENT,
        {"type": "hello", "session_id": "fz-1"},
        lambda name: {"type": "cancel", "job_id": name},
        codec.to_client,
    ),
    "node": Door(
        "node",
        "/ws/node",
        frames.NODE,
        {
            "type": "register",
            "node_id": "fz-1",
            "process_id": "p-1",
            "pairs": [frames.NOBODY],
            "slots": 2,
            "running": [],
        },
        lambda name: {"type": "result", "job_id": name, "attempt": 1},
        codec.to_node,
    ),
}


@dataclass
class Player:
    """Plays scripts at `door` of the scheduler at `port`, and counts the outcomes."""

    door: Door
    url: str
    held: str
    """A job that another node is working on during the whole run."""
    patience_s: float = PATIENCE_S
    frames: int = 0
    connections: int = 0
    closes: Counter[int] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._port = int(self.url.rsplit(":", 1)[1])
        self._http = httpx.Client(base_url=self.url, trust_env=False)
        self._values: dict[str, Any] = {}
        self._others: list[Wire] = []
        self._wire: Wire | None = None

    def __enter__(self) -> Player:
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()

    def play(self, script: Script, greeted: bool) -> None:
        """Play `script`, on a connection that has been `greeted` or not. Raises Lost."""
        self._values = {frames.JOB: "none", frames.ATTEMPT: 1, frames.HELD: self.held}
        try:
            self._open(greeted)
            for burst in script:
                self._burst(burst)
            for wire in [*self._others, self._wire]:
                if wire is not None:
                    self._hear(wire)
        finally:
            for wire in [*self._others, self._wire]:
                if wire is not None:
                    wire.cut()
            self._others, self._wire = [], None

    def summary(self) -> str:
        """Summarise the outcomes in one line."""
        closes, reasons = (dict(counted.most_common()) for counted in (self.closes, self.reasons))
        return (
            f"{self.door.name}: {self.frames} frames, {self.connections} connections, closes {closes}, errors {reasons}"
        )

    def _open(self, greeted: bool = True) -> Wire:
        self.connections += 1
        self._wire = wire = Wire(self._port, self.door.path, self.patience_s)
        if greeted:
            self._send(wire, Message(self.connections % 2 == 0, self.door.greeting))
        return wire

    def _burst(self, burst: list[Step]) -> None:
        """Send a burst at once, then check for an answer if one can be expected."""
        wire = self._wire or self._open()
        for step in burst:
            if isinstance(step, Again):
                self._others.append(wire)
                wire = self._open()
            elif isinstance(step, Job):
                self._submit()
            elif isinstance(step, Cut):
                wire.send(step.data)
                wire.cut()
                wire = self._open()
            elif isinstance(step, Raw):
                wire.send(step.data)
                wire.broken = True
                wire.may_echo = wire.may_echo or struct.pack("!H", DIED) in step.data
            else:
                self._send(wire, step)
                wire.broken = wire.broken or not _is_allowed(step)
                wire.may_echo = wire.may_echo or _closes_with(step, DIED)
            self.frames += 1
        self._hear(wire)

    def _send(self, wire: Wire, step: Message | Frame) -> None:
        for frame in step.encode(self._values) if isinstance(step, Message) else [step]:
            wire.send(frame.encode(frame.payload))

    def _hear(self, wire: Wire) -> None:
        """Read until the last message is answered or the connection is closed. A broken one can only be closed."""
        name = f"last-word-{next(_numbers)}"
        if wire.broken:
            wire.finish()
        else:
            self._send(wire, Message(False, self.door.last_word(name)))
        try:
            while True:
                reply = wire.next()
                if reply.opcode == PING:
                    wire.send(Frame(FIN | PONG, reply.payload).encode(reply.payload))
                elif reply.opcode in (TEXT, BINARY) and self._take(reply.payload, reply.opcode == BINARY, name):
                    return
        except Closed as closed:
            self.closes[closed.code] += 1
            if closed.code not in CODES and not wire.broken:
                raise Lost(f"the connection ended: {closed}") from None
            if closed.code == DIED and not wire.may_echo:
                raise Lost(f"the handler died: {closed}") from None
        except TimeoutError:
            raise Lost(f"nobody answered within {self.patience_s} s") from None
        wire.cut()
        if wire is self._wire:
            self._wire = None

    def _take(self, payload: bytes, binary: bool, name: str) -> bool:
        """Check a message; return True when it answers the last message."""
        message = self.door.answers.decode(payload, binary)
        kind = type(message).__name__
        self.reasons[getattr(message, "reason", kind) if kind in ("Error", "RejectedSubmit") else kind] += 1
        if kind in ("Accepted", "Assign"):
            self._values[frames.JOB] = message.job_id
            self._values[frames.ATTEMPT] = getattr(message, "attempt", 1)
        return kind == "Error" and name in message.detail

    def _submit(self) -> None:
        self._http.post("/v1/jobs", params={"pair": frames.NOBODY, "timeout_ms": 500}, content=TONE)


def _closes_with(step: Message | Frame, code: int) -> bool:
    return isinstance(step, Frame) and step.first & 0x0F == CLOSE and step.payload[:2] == struct.pack("!H", code)


def _is_allowed(step: Message | Frame) -> bool:
    """True when the frames of that step permit the connection to go on."""
    if isinstance(step, Message):
        return True
    kind = step.first & 0x0F
    whole = step.masked and step.declared < 0 and not step.form and step.first & 0xF0 == FIN
    return whole and (kind in (TEXT, BINARY) or (kind in (PING, PONG) and len(step.payload) < 126)) and kind != CLOSE


def fuzz(player: Player, frames_wanted: int, seed: int) -> None:
    """Play scripts until `frames_wanted` frames were sent. Raises Lost with the shrunk script as one line to paste."""

    def rounds(examples: int, seed: int) -> None:
        @hypothesis.seed(seed)
        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        )
        @given(
            script=frames.scripts(player.door.kinds), greeted=hypothesis.strategies.sampled_from([True, True, False])
        )
        def one(script: Script, greeted: bool) -> None:
            found = ""
            try:
                player.play(script, greeted)
            except Lost as lost:
                found = f"{lost}\n{line_to_paste(player.door.name, script, greeted)}"
            if found:
                # The exception is raised here because hypothesis distinguishes failures by their whole context, and
                # reset or end is a race.
                raise Lost(found)

        one()

    while player.frames < frames_wanted:
        rounds(max(10, (frames_wanted - player.frames) // 20), seed)
        seed += 1


def line_to_paste(door: str, script: Script, greeted: bool) -> str:
    """Return the command that plays `script` again."""
    flag = "" if greeted else " --not-greeted"
    return f"python -m tests.api.frame_fuzz {door}{flag} --script {shlex.quote(repr(script))}"


def main() -> None:
    """Run it as a command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("door", choices=sorted(DOORS))
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--script", help="what a failure printed; played once")
    parser.add_argument("--not-greeted", action="store_true", help="without a hello or register before it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vp-fz-") as folder:
        scheduler = Scheduler(Path(folder), "embedded", *FLAGS)
        try:
            with (
                Bystander(scheduler) as bystander,
                Player(DOORS[arguments.door], scheduler.url, bystander.job_id) as player,
            ):
                if arguments.script:
                    player.play(frames.read(arguments.script), not arguments.not_greeted)
                else:
                    fuzz(player, arguments.frames, arguments.seed)
                print(player.summary())
        finally:
            scheduler.stop()
    sys.exit(0)


if __name__ == "__main__":
    main()
