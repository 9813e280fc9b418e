"""The seam between a worker node and the work itself, and the engines by name."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from voxpool.scheduler.errors import ConfigError, VoxpoolError

SECONDS_MAX = 86_400.0
NAMES = ("measure", "measure:SECONDS (slower)", "pocketsphinx", "sleep:SECONDS", "module:function")


@dataclass(frozen=True, slots=True)
class Work:
    """One attempt of a job, as an engine sees it. `deadline_ms` is how long the scheduler waits, from the assign."""

    job_id: str
    attempt: int
    pair: str
    audio: bytes
    deadline_ms: int = 0
    session_id: str | None = None
    cancelled: threading.Event = field(default_factory=threading.Event, compare=False)
    """Set when nobody wants the result any more; an engine that looks at it may stop early."""
    trace: str | None = None
    """The traceparent (W3C) that the attempt belongs under, if there is one."""


Engine = Callable[[Work], Any]
"""Returns the output: anything that JSON can say. It is called in a thread, in several at once when slots > 1; one that
is `async` is called on the loop."""


class WorkFailed(VoxpoolError):
    """An attempt that an engine can't complete. `retryable` tells whether another node may have more luck."""

    def __init__(self, reason: str, detail: str = "", *, retryable: bool = False) -> None:
        super().__init__(detail or reason)
        self.reason = reason
        self.detail = detail
        self.retryable = retryable


def open_engine(spec: str) -> Engine:
    """Return the engine named by `spec`: one of NAMES; names of our own go before modules.

    Raises ConfigError for an unknown name, a bad parameter, a module or function that isn't there, or an engine whose
    extra isn't installed.
    """
    name, colon, parameter = spec.partition(":")
    if name == "measure":
        from voxpool.scheduler.engines.measure import SlowMeasure, measure

        return SlowMeasure(parse_seconds(parameter)) if colon else measure
    if name == "pocketsphinx" and not colon:
        from voxpool.scheduler.engines.pocketsphinx import Recogniser

        return Recogniser()
    if name == "sleep":
        from voxpool.scheduler.engines.sleep import Sleeper

        return Sleeper(parse_seconds(parameter))
    from voxpool.scheduler.engines.imported import import_engine, is_import

    if is_import(spec):
        return import_engine(spec)
    raise ConfigError(f"unknown engine {spec!r}; known are {', '.join(NAMES)}")


def parse_seconds(text: str) -> float:
    """Return the seconds after the colon of an engine's name. Raises ConfigError."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= SECONDS_MAX:
        raise ConfigError(f"engine: {text!r} after the colon: write seconds there, such as sleep:0.2")
    return seconds
