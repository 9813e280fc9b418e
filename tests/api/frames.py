"""Hypothesis strategies for what a broken or hostile peer may send: valid messages, invalid ones, and other bytes.

A script is a list of bursts, a burst a list of steps that are sent before the peer reads an answer. Everything is a
plain value whose repr can be pasted.
"""

from __future__ import annotations

import base64
import json
import math
from typing import Any, NamedTuple, TypeAlias

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.api.wire import BINARY, CLOSE, FIN, PING, PONG, TEXT, Frame
from tests.e2e.processes import TONE

JOB, ATTEMPT, HELD = "$JOB", "$ATTEMPT", "$HELD"
"""Placeholders for the last job of this connection, its attempt, and a job that another node holds."""
ECHO, NOBODY = "echo:en", "nobody:en"
"""A pair whose node answers at once, and a pair that only the fuzzer's nodes serve."""


class Message(NamedTuple):
    """One message, valid or not. `drop` bytes are cut off at its end; it is sent in `pieces` fragments."""

    binary: bool
    fields: dict[str, Any]
    drop: int = 0
    pieces: int = 1
    ascii: bool = True

    def encode(self, values: dict[str, Any]) -> list[Frame]:
        """Return its frames; `values` are the values of JOB, ATTEMPT and HELD."""
        fields = _with_values(self.fields, values)
        body = _messagepack(fields) if self.binary else _json(fields, self.ascii)
        body = body[: len(body) - self.drop]
        size = max(1, -(-len(body) // self.pieces))
        parts = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
        first = BINARY if self.binary else TEXT
        return [
            Frame((first if number == 0 else 0) | (FIN if number == len(parts) - 1 else 0), part)
            for number, part in enumerate(parts)
        ]


class Raw(NamedTuple):
    """Bytes on the connection that need not be frames."""

    data: bytes


class Cut(NamedTuple):
    """Send the beginning of a message, and reset the connection."""

    data: bytes


class Again(NamedTuple):
    """Open another connection; this one stays open until the end of the script."""


class Job(NamedTuple):
    """Let a client submit a job for the fuzzer's node."""


Step: TypeAlias = Message | Frame | Raw | Cut | Again | Job
Script: TypeAlias = list[list[Step]]

AUDIO = TONE[:200]
NAMES = st.sampled_from(["fz-1", "fz-2", "p-1", "p-2", "r-1", "r-2", JOB, HELD, "nobody-knows-it"])
PAIRS = st.sampled_from([ECHO, NOBODY])
RUNNING = st.lists(st.tuples(NAMES, st.sampled_from([1, 2, ATTEMPT])), max_size=2)
CLIENT: dict[str, SearchStrategy[dict[str, Any]]] = {
    "hello": st.fixed_dictionaries(
        {},
        optional={
            "session_id": NAMES,
            "resume": st.booleans(),
            "in_order": st.booleans(),
            "acks": st.booleans(),
            "generation": NAMES,
            "ack": st.integers(0, 9),
            "patience_ms": st.integers(0, 500),
        },
    ),
    "submit": st.fixed_dictionaries(
        {"request_id": NAMES, "pair": PAIRS, "audio": st.just(AUDIO)},
        optional={
            "timeout_ms": st.integers(1, 5000),
            "session_affinity": st.booleans(),
            "why": st.booleans(),
            "attempts_max": st.integers(1, 20),
            "backoff_ms": st.integers(0, 60_000),
            "ack": st.integers(0, 9),
        },
    ),
    "ack": st.fixed_dictionaries({"number": st.integers(0, 9)}),
    "cancel": st.fixed_dictionaries({"job_id": NAMES}),
}
NODE: dict[str, SearchStrategy[dict[str, Any]]] = {
    "register": st.fixed_dictionaries(
        {
            "node_id": st.sampled_from(["fz-1", "fz-2"]),
            "process_id": st.sampled_from(["p-1", "p-2"]),
            "pairs": st.lists(PAIRS, min_size=1, max_size=3),
            "slots": st.integers(1, 3),
            "running": RUNNING,
        },
        optional={"version": st.text(max_size=5)},
    ),
    "heartbeat": st.fixed_dictionaries({"running": RUNNING}, optional={"load": st.floats(0, 1)}),
    "result": st.fixed_dictionaries(
        {"job_id": st.sampled_from([JOB, HELD, "nobody-knows-it"]), "attempt": st.sampled_from([ATTEMPT, 1, 2, 999])},
        optional={
            "output": st.deferred(lambda: ODD),
            "busy": st.booleans(),
            "error": st.fixed_dictionaries(
                {"reason": st.text(max_size=300)},
                optional={"retryable": st.booleans(), "detail": st.text(max_size=900)},
            ),
        },
    ),
    "drain": st.fixed_dictionaries({"on": st.booleans()}),
}
FIELDS = sorted(
    {
        "type",
        "protocol",
        "token",
        "session_id",
        "resume",
        "in_order",
        "request_id",
        "pair",
        "audio",
        "timeout_ms",
        "why",
        "attempts_max",
        "backoff_ms",
        "acks",
        "generation",
        "ack",
        "patience_ms",
        "number",
    }
    | {"session_affinity", "job_id", "node_id", "process_id", "pairs", "slots", "running", "version", "load", "attempt"}
    | {"output", "error", "busy", "on"}
)

NUMBERS: SearchStrategy[Any] = st.one_of(
    st.sampled_from([0, -1, 1, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**400]),
    st.sampled_from([math.nan, math.inf, -math.inf, 1e308, 5e-324, -0.0]),
    st.integers(),
    st.floats(),
)
TEXTS = st.one_of(
    st.text(max_size=20),
    st.text(st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF), min_size=1, max_size=3),  # lone surrogates
    st.sampled_from(["", "\0", "x" * 65, "a:b:c", "../../etc/passwd", "\u202e", "$", "🙂" * 50, "x" * 70_000]),
)
ODD: SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, st.binary(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)


@st.composite
def messages(draw: st.DrawFn, kinds: dict[str, SearchStrategy[dict[str, Any]]], wrong: bool) -> Message:
    """A message of one of `kinds`; if `wrong`, with an invalid part."""
    kind = draw(st.sampled_from(sorted(kinds)))
    fields: dict[str, Any] = {"type": kind, **draw(kinds[kind])}
    drop = 0
    if wrong:
        how = draw(st.sampled_from(["odd", "odd", "missing", "unknown", "type", "torn"]))
        if how == "odd":
            fields[draw(st.sampled_from(sorted(fields)))] = draw(ODD)
        elif how == "missing":
            del fields[draw(st.sampled_from(sorted(fields)))]
        elif how == "unknown":
            fields[draw(st.one_of(st.sampled_from(FIELDS), TEXTS))] = draw(ODD)
        elif how == "type":
            fields["type"] = draw(st.one_of(st.sampled_from(["welcome", "assign", "sing", *CLIENT, *NODE]), ODD))
        else:
            drop = draw(st.integers(1, 10))
    pieces = draw(st.sampled_from([1, 1, 1, 1, 2, 5]))
    return Message(draw(st.booleans()), fields, drop, pieces, draw(st.booleans()))


@st.composite
def deep(draw: st.DrawFn) -> Frame:
    """Deeply nested lists."""
    levels = draw(st.sampled_from([10, 100, 1000, 2000, 50_000]))
    if draw(st.booleans()):
        return Frame(FIN | BINARY, b"\x82\xa4type\xa5hello\xa1x" + b"\x91" * levels + b"\xc0")
    kind = draw(st.sampled_from([b"hello", b"register", b"submit", b"result"]))
    field = draw(st.sampled_from([b"output", b"x", b"running", b"error"]))
    close = b"]" * levels + b"}" if draw(st.booleans()) else b""
    return Frame(FIN | TEXT, b'{"type":"%b","job_id":"j","attempt":1,"%b":' % (kind, field) + b"[" * levels + close)


GARBAGE = st.builds(
    Frame,
    st.sampled_from([FIN | TEXT, FIN | BINARY]),
    st.one_of(
        st.binary(max_size=50),
        st.sampled_from([b"", b"{}", b"[]", b"null", b'"', b"NaN", b"\xff\xfe", b"\xed\xa0\x80", b"\x00" * 70_000]),
        st.just(b'{"type":"hello","type":"cancel","job_id":"a","job_id":"b"}'),
        st.just(b"\x81\xa4type\xc7\x01\x05x"),  # an extension type
        st.just(b"\xdf\xff\xff\xff\xff"),  # a map with a declared size of four billion entries
        st.just(b"\x81\x91\xc0\xc0"),  # a list as a key
    ),
)
CONTROL = st.builds(Frame, st.sampled_from([FIN | PING, FIN | PONG]), st.binary(max_size=125))
CUTS = st.one_of(
    st.sampled_from([b"", b"\x81", b"\x82\xff\x00\x00", b"\x81\xfe\x40\x00\0\0\0\0{", b"\x01\x82\0\0\0\0{}"]),
    st.binary(max_size=20),
).map(Cut)
CLOSES = st.builds(
    Frame,
    st.just(FIN | CLOSE),
    st.one_of(
        st.just(b""),
        st.binary(max_size=3),
        st.builds(
            lambda code, reason: code.to_bytes(2, "big") + reason,
            st.sampled_from([0, 999, 1000, 1001, 1005, 1006, 1011, 1012, 2999, 4000, 5000, 65535]),
            st.binary(max_size=20),
        ),
    ),
)
FORBIDDEN = st.one_of(
    st.builds(Frame, st.integers(0, 255), st.binary(max_size=10)),  # any opcode, any reserved bit
    st.builds(Frame, st.just(FIN | TEXT), st.just(b"{}"), st.just(False)),  # no mask
    st.builds(Frame, st.just(FIN | PING), st.binary(min_size=126, max_size=130)),
    st.builds(Frame, st.sampled_from([PING, CLOSE, TEXT, BINARY]), st.binary(max_size=5)),  # not the last fragment
    st.builds(Frame, st.just(FIN | TEXT), st.just(b"{}"), st.just(True), st.sampled_from([126, 127])),
    st.builds(
        Frame,
        st.sampled_from([FIN | TEXT, FIN | BINARY]),
        st.binary(max_size=10),
        st.booleans(),
        st.just(127),
        st.sampled_from([2**16, 2**24, 2**31, 2**62, 2**63 - 1, 2**63, 2**64 - 1]),
    ),
    st.builds(Raw, st.binary(min_size=1, max_size=40)),
)


@st.composite
def steps(draw: st.DrawFn, kinds: dict[str, SearchStrategy[dict[str, Any]]]) -> Step:
    """One step of a peer whose messages are of `kinds`; one in sixteen breaks the rules of WebSockets itself."""
    which = draw(st.integers(0, 15))
    if which < 6:
        return draw(messages(kinds, wrong=False))
    if which < 11:
        return draw(messages(kinds, wrong=True))
    others: list[SearchStrategy[Any]] = [
        st.one_of(deep(), GARBAGE),
        CONTROL,
        st.one_of(st.builds(Again), st.builds(Job)),
        st.one_of(CLOSES, CUTS),
        FORBIDDEN,
    ]
    strategy: SearchStrategy[Step] = others[which - 11]
    return draw(strategy)


def scripts(kinds: dict[str, SearchStrategy[dict[str, Any]]]) -> SearchStrategy[Script]:
    """The script of one peer."""
    return st.lists(st.lists(steps(kinds), min_size=1, max_size=4), min_size=1, max_size=12)


def read(text: str) -> Script:
    """Return the script whose repr is `text`."""
    names: dict[str, Any] = {kind.__name__: kind for kind in (Message, Frame, Raw, Cut, Again, Job)}
    script: Script = eval(text, {**names, "nan": math.nan, "inf": math.inf})
    return script


def _with_values(thing: Any, values: dict[str, Any]) -> Any:
    if isinstance(thing, dict):
        return {key: _with_values(value, values) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [_with_values(value, values) for value in thing]
    return values.get(thing, thing) if isinstance(thing, str) else thing


def _json(fields: dict[str, Any], ascii_only: bool) -> bytes:
    text = json.dumps(fields, ensure_ascii=ascii_only, default=lambda value: base64.b64encode(value).decode())
    return text.encode("utf-8", "surrogatepass")


def _messagepack(thing: Any) -> bytes:
    """Like msgspec's encoder, but it also encodes invalid values: numbers above 64 bits, surrogates."""
    if isinstance(thing, dict):
        items = [_messagepack(part) for item in thing.items() for part in item]
        return (
            bytes([0x80 | len(thing)]) if len(thing) < 16 else b"\xde%b" % len(thing).to_bytes(2, "big")
        ) + b"".join(items)
    if isinstance(thing, list):
        return bytes([0x90 | min(len(thing), 15)]) + b"".join(map(_messagepack, thing))
    if isinstance(thing, str):
        body = thing.encode("utf-8", "surrogatepass")
        return b"\xdb" + len(body).to_bytes(4, "big") + body
    try:
        return msgspec.msgpack.encode(thing)
    except OverflowError:
        return b"\xcf" + b"\xff" * 8
