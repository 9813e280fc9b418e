"""W3C trace context: the text `traceparent` by which client, scheduler and node name one trace. Pure.

It is passed on whether or not this scheduler exports traces (telemetry/traces.py).
"""

from __future__ import annotations

import re

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_ODD = frozenset("13579bdf")
"""The last digit of the flags of a trace that is recorded: bit 0 is set."""


def checked(traceparent: str | None) -> str:
    """Return `traceparent` if it is one of version 00, else "": an invalid one counts as none (W3C, section 3.2)."""
    return traceparent if traceparent and _TRACEPARENT.fullmatch(traceparent) else ""


def traceparent(trace: int, span: int, is_sampled: bool) -> str:
    """Return the text that names `span` of `trace`, and whether it is recorded."""
    return f"00-{trace:032x}-{span:016x}-{'01' if is_sampled else '00'}"


def trace_id(traceparent: str) -> str | None:
    """Return the id of the trace, 32 hexadecimal digits; None where there is no trace."""
    return traceparent[3:35] if traceparent else None


def span_id(traceparent: str) -> str:
    """Return the id of the span, 16 hexadecimal digits."""
    return traceparent[36:52]


def is_sampled(traceparent: str) -> bool:
    """Return whether its sender records this trace."""
    return traceparent[54:] in _ODD if traceparent else False
