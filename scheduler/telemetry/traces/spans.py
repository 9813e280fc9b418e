"""A span until it is exported: a plain record, cheap to make on the loop. docs/traces.md describes each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

Attributes = dict[str, str | int]

JOB = "voxpool.job"
WAITING = "voxpool.waiting"
SELECT = "voxpool.select"
ATTEMPT = "voxpool.attempt"
LATE_RESULT = "voxpool.late_result"


class Event(NamedTuple):
    """A moment in a span."""

    name: str
    at_ns: int
    attributes: Attributes


class Span(NamedTuple):
    """A span that has ended. Ids are numbers, `parent` 0 = none; times are ns since 1970. No payload, ever."""

    name: str
    trace: int
    span: int
    parent: int
    start_ns: int
    end_ns: int
    attributes: Attributes
    error: str = ""
    """Why its operation failed, a stable word; "" = it did not."""
    events: Sequence[Event] = ()
    has_remote_parent: bool = False
    """Whether the parent is another process's."""
