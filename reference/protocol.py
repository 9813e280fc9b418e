"""The blocks of docs/protocol.md: a table of fields for each message, the reasons, and the bounds."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from reference.attribute_docs import field_texts
from reference.blocks import Generator, table
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.jobs.reasons import ENDS, PEER_REFUSALS, SUBMIT_REFUSALS, Reason
from voxpool.scheduler.protocol import field_types, messages
from voxpool.scheduler.web.wire.allowance import (
    SMALL_PART_BYTES,
    STRANGERS_MESSAGE_BYTES_MAX,
    client_message_bytes_max,
    node_message_bytes_max,
)

CHANNELS: dict[str, tuple[Any, Any]] = {
    "session": (messages.FromClient, messages.ToClient),
    "node": (messages.FromNode, messages.ToNode),
}
"""WebSocket endpoint -> the messages to the scheduler, and those from it."""
NESTED: tuple[type[msgspec.Struct], ...] = (field_types.Times, messages.WorkError)
KINDS: dict[Any, str] = {
    field_types.Name: "name",
    field_types.Pair: "pair",
    field_types.Running: "list of [name, integer], 1000 at most",
    field_types.Times: "object, see below",
    messages.WorkError: "object, see below",
    Any: "any JSON value",
    str: "text",
    bytes: "bytes",
    bool: "true or false",
    int: "integer",
    float: "number",
    dict[str, int]: "object of integers",
}


def tag_of(cls: type[msgspec.Struct]) -> str:
    """Return the `type` of a message."""
    return str(cls.__struct_config__.tag)


def fields_table(cls: type[msgspec.Struct]) -> str:
    """Return the fields of a message as a table."""
    hints = get_type_hints(cls, include_extras=True)
    texts = field_texts(cls)
    rows = [
        (f"`{field.name}`", kind_of(hints[field.name]), _default(field), texts[field.name])
        for field in msgspec.structs.fields(cls)
    ]
    return table(("field", "type", "when absent", "meaning"), rows)


def kind_of(annotation: Any) -> str:
    """Describe the values that a field may have, in words."""
    for known, words in KINDS.items():
        if annotation == known:
            return words
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(kind_of(one) for one in get_args(annotation) if one is not type(None))
    if get_origin(annotation) is Annotated:
        kind, meta = get_args(annotation)
        assert isinstance(meta, msgspec.Meta)
        if get_origin(kind) is list:
            [item] = get_args(kind)
            return f"list of {meta.min_length or 0} to {meta.max_length} of {kind_of(item)}"
        return f"{kind_of(kind)}, {meta.ge} to {_large(meta.le)}"
    raise KeyError(f"reference/protocol.py: KINDS has no words for {annotation!r}")


def _large(number: float | None) -> str:
    named = {2**53: "2⁵³", field_types.NUMBER_MAX: "10¹⁵"}
    return named.get(int(number), f"{number}") if number is not None else "any"


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "**required**"
    if field.default is None:
        return "null" if field.type is Any else "none"
    return msgspec.json.encode(field.default).decode()


def _reasons(reasons: dict[str, Reason]) -> str:
    rows = [(f"`{word}`", "yes" if reason.retryable else "no", reason.meaning) for word, reason in reasons.items()]
    return table(("reason", "retryable", "meaning"), rows)


def limits() -> str:
    """Return the bounds of the scheduler, with the defaults of the settings."""
    usual = Settings()
    sizes = [
        ("audio of a job", usual.audio_bytes_max, "`audio_bytes_max`, in `welcome.limits`"),
        (
            "output of a job, as JSON",
            usual.output_bytes_max,
            "`output_bytes_max`, in `welcome.limits` and `registered`",
        ),
        ("first message of a connection", STRANGERS_MESSAGE_BYTES_MAX, ""),
        ("message of a client: the largest audio as base64, and 64 KiB", client_message_bytes_max(usual), ""),
        ("message of a node: twice the largest output, and 64 KiB", node_message_bytes_max(usual), ""),
    ]
    parts = f"control frames, and fragments below {SMALL_PART_BYTES} bytes, of one peer"
    rest = f"no part for {usual.body_stall_s:g} s, or, after that time, below {usual.body_bytes_per_s_min} bytes/s"
    rows = [
        *((what, f"{size:,} bytes", setting) for what, size, setting in sizes),
        ("sessions", f"{usual.sessions_max:,}", "`sessions_max`"),
        ("nodes", f"{usual.nodes_max:,}", "`nodes_max`"),
        ("results of a session without an ack", f"{usual.unacknowledged_max:,}", "`unacknowledged_max`"),
        ("submits of one token", f"{usual.rate_per_s:g} a second; 0 = any", "`rate_per_s`, `rate_burst`"),
        (parts, f"{usual.small_parts_per_s_max:g} a second over a longer time", "`small_parts_per_s_max`"),
        ("a message that has arrived in part", rest, "`body_stall_s`, `body_bytes_per_s_min`"),
        ("time for the first message", f"{usual.greeting_s:g} s", "`greeting_s`"),
        ("time without an answer to a ping", f"{usual.lease_s + usual.heartbeat_s:g} s", "`lease_s` + `heartbeat_s`"),
        ("time in which a peer takes nothing of what is sent", f"{usual.send_stall_s:g} s", "`send_stall_s`"),
        ("bytes that wait to be sent to a peer", f"{usual.send_buffer_bytes_max:,}", "`send_buffer_bytes_max`"),
    ]
    return table(("limit", "default", "setting"), rows)


def _section(cls: type[msgspec.Struct]) -> Generator:
    return lambda: f"{cls.__doc__}\n\n{fields_table(cls)}"


def generators() -> dict[str, Generator]:
    """Return the generator of each block."""
    unions = [union for channel in CHANNELS.values() for union in channel]
    classes = {cls for union in unions for cls in get_args(union)} | set(NESTED)
    blocks: dict[str, Generator] = {f"message {cls.__name__}": _section(cls) for cls in classes}
    blocks |= {
        "limits": limits,
        "reasons of ends": lambda: _reasons(ENDS),
        "reasons of rejected submits": lambda: _reasons(SUBMIT_REFUSALS),
        "reasons of refused peers": lambda: _reasons(PEER_REFUSALS),
    }
    return blocks
