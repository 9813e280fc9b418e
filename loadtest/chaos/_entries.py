"""The entries of the ledger. Nodes and clients append them to files, one write each, so that a kill loses none.

Times are seconds of the wall clock, which all processes of a run share. `number` is that of the audio.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec


class Entry(msgspec.Struct, tag=True, frozen=True):
    """One entry."""

    number: int
    at_s: float


class Asked(Entry, frozen=True):
    """A client has a new request; it submits it until it has an answer."""

    client: str


class Accepted(Entry, frozen=True):
    """The client was told that its job is accepted."""

    job_id: str


class Ended(Entry, frozen=True):
    """The client got the end of its job."""

    job_id: str
    state: str
    is_right: bool
    """Whether the output is that of this audio."""
    error: str = ""


class Refused(Entry, frozen=True):
    """The submit was refused for good, or the client gave up."""

    reason: str


class Again(Entry, frozen=True):
    """The client got a second result of a request."""

    request_id: str
    state: str


class Started(Entry, frozen=True):
    """A node starts an attempt."""

    job_id: str
    attempt: int
    node: str


class Finished(Entry, frozen=True):
    """A node has done the work of an attempt; its result is sent next."""

    job_id: str
    attempt: int
    node: str


AnyEntry = Asked | Accepted | Ended | Refused | Again | Started | Finished


class Writer:
    """Appends entries to a file that others may append to as well."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, entry: AnyEntry) -> None:
        """Append `entry`; it is in the file when this returns."""
        os.write(self._file, msgspec.json.encode(entry) + b"\n")


def now_s() -> float:
    """Return the time for an entry."""
    return time.time()


def read_entries(path: Path) -> Iterator[AnyEntry]:
    """Yield the entries of a file; without one, nothing."""
    if path.exists():
        decoder = msgspec.json.Decoder(AnyEntry)
        with path.open("rb") as lines:
            for line in lines:
                yield decoder.decode(line)
