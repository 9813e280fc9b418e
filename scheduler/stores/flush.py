"""What travels to a server in one round trip: the calls of one or several partitions, and the wait for its replicas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.errors import VoxpoolError

COMMANDS = frozenset({"SET", "MGET", "UNLINK"})
"""Calls that are commands of the server and no scripts: they carry audio, which is no argument of a script."""
CALLS_MAX = 1024
"""The most calls of one flush; only a bug sends more (ScriptQueue sends 256)."""
ACK_MS = 1000
"""How long replicas may take to acknowledge a flush."""
MARK_MS = 1000
"""The time to live of a mark."""


class Flush(NamedTuple):
    """Calls of one partition, with its keys."""

    keys: Sequence[str]
    calls: Sequence[ScriptCall]
    mark: str = ""
    """A key that is written after the calls; "" = none.

    WAIT waits for the last write of its connection. Without a mark, a flush that is repeated on a new connection and
    only reads would not wait for what its first try has written.
    """


Outcome = list[list[str]] | VoxpoolError
"""The answers to a flush, or why there are none."""


def too_few(acks: int, wanted: int) -> str:
    """Return "" when `acks` replicas are enough, else the reason of a flush that is not done."""
    if acks >= wanted:
        return ""
    return f"{acks} of {wanted} replicas have acknowledged a flush within {ACK_MS / 1000:g} s"


def command(call: ScriptCall) -> tuple[str | bytes, ...]:
    """Return a command of COMMANDS as the server gets it."""
    if call.name == "SET":
        key, seconds = call.args
        return "SET", key, call.data, "EX", seconds
    return call.name, *call.args


def listed(answer: Any) -> list[Any]:
    """Return the answer to a command as a list, like a script's; of audio b"" where there is nothing."""
    return [b"" if one is None else one for one in answer] if isinstance(answer, list) else [str(answer)]
