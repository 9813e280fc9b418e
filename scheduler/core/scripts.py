"""The scripts of lua/ by name: where they lie, and one typed call for each (ARGV of the script's head).

Nothing here talks to a store: a call is a value, a store is a ScriptRunner (seams.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

ARGUMENTS_MAX = 1000
"""Batches are cut at this many arguments; unpack() and the time of a call on the server are bounded by it."""


class ScriptCall(NamedTuple):
    """One call: the script's name and its ARGV. The store adds KEYS, the same for all scripts of a data model."""

    name: str
    args: list[str]
    data: bytes = b""
    """The value of a command that stores audio beside the scripts (shared/calls.py)."""


class Reply(StrEnum):
    """What a script may answer beside data; `lua/README.md` explains each."""

    OK = "OK"
    UNKNOWN = "UNKNOWN"
    REPLACED = "REPLACED"
    TAKEN = "TAKEN"
    ALIVE = "ALIVE"
    AGAIN = "AGAIN"


class Want(NamedTuple):
    """What select_node is asked for one attempt: `reservation` = job|attempt, `due_ms` = when it ends by itself."""

    reservation: str
    pair: str
    due_ms: int
    prefer: str
    avoid: tuple[str, ...]


def register_node(
    now_ms: int,
    lease_ms: int,
    node_id: str,
    generation: str,
    process_id: str,
    slots: int,
    flags: str,
    pairs: Sequence[str],
    replaces: str,
    keep: Sequence[tuple[str, int]],
) -> ScriptCall:
    """Answer: [OK, freed reservation…] or [TAKEN, living generation]. `keep` = (job|attempt, due_ms) that stay held."""
    args = [str(now_ms), str(lease_ms), node_id, generation, process_id, str(slots), flags, ",".join(pairs), replaces]
    for reservation, due_ms in keep:
        args.append(reservation)
        args.append(str(due_ms))
    return ScriptCall("register_node", args)


def heartbeat(now_ms: int, lease_ms: int, beats: Sequence[tuple[str, str]]) -> ScriptCall:
    """Answer: OK, UNKNOWN or REPLACED for each (node_id, generation)."""
    args = [str(now_ms), str(lease_ms)]
    for node_id, generation in beats:
        args.append(node_id)
        args.append(generation)
    return ScriptCall("heartbeat", args)


def node_offline(node_id: str, generation: str, lapsed_before_ms: int | None = None) -> ScriptCall:
    """Answer: [OK, freed reservation…], [UNKNOWN], [REPLACED] or, with `lapsed_before_ms`, [ALIVE]."""
    return ScriptCall("node_offline", [node_id, generation, "" if lapsed_before_ms is None else str(lapsed_before_ms)])


def drain_node(node_id: str, generation: str, flag: str, on: bool) -> ScriptCall:
    """Answer: [OK], [UNKNOWN] or [REPLACED]. `flag` is d (draining) or r (resting)."""
    return ScriptCall("drain_node", [node_id, generation, flag, "1" if on else "0"])


def select_node(now_ms: int, seed: int, choices: int, removals_max: int, wants: Sequence[Want]) -> ScriptCall:
    """Answer: node, generation for each want; '' and '' when no node has room, '' and AGAIN when removals_max was
    reached.

    `seed` is 1 to 2**31 - 2.
    """
    args = [str(now_ms), str(seed), str(choices), str(removals_max)]
    for reservation, pair, due_ms, prefer, avoid in wants:
        args += (reservation, pair, str(due_ms), prefer, str(len(avoid)), *avoid)
    return ScriptCall("select_node", args)


def reservations_of(call: ScriptCall) -> list[str]:
    """Return the job|attempt of each want of a select_node or select_explained `call`, in order."""
    args, at, reservations = call.args, 4, []
    while at < len(args):
        reservations.append(args[at])
        at += 5 + int(args[at + 4])
    return reservations


class Look(NamedTuple):
    """A node that a select looked at: whether it has room or why not (the words of lua/select_explained.lua)."""

    node_id: str
    word: str
    load: int | None
    slots: int | None


def select_explained(call: ScriptCall) -> ScriptCall:
    """Return a select_node `call` as one that also returns which nodes it looked at; looks_of reads that."""
    return ScriptCall("select_explained", call.args)


def looks_of(answer: Sequence[str], jobs: int) -> list[tuple[int, list[Look]]]:
    """Return of an answer to select_explained, for each of its `jobs`: nodes looked at in all, and the first ones."""
    found = []
    at = 2 * jobs
    for _ in range(jobs):
        total, count = int(answer[at]), int(answer[at + 1])
        at += 2
        looks = []
        for _ in range(count):
            node_id, word, load, slots = answer[at : at + 4]
            looks.append(Look(node_id, word, int(load) if load else None, int(slots) if slots else None))
            at += 4
        found.append((total, looks))
    return found


def release_job(reservations: Sequence[str]) -> ScriptCall:
    """Answer: the node that held it, or '', for each job|attempt."""
    return ScriptCall("release_job", list(reservations))


def expire_reservations(now_ms: int, limit: int) -> ScriptCall:
    """Answer: job|attempt, node for each reservation freed because its due time has passed."""
    return ScriptCall("expire_reservations", [str(now_ms), str(limit)])


def lapsed_nodes(now_ms: int, limit: int) -> ScriptCall:
    """Answer: node, generation for each of at most `limit` nodes whose lease has ended."""
    return ScriptCall("lapsed_nodes", [str(now_ms), str(limit)])
