"""Switches the tracing of allocations of a process over HTTP, at the URL of its memory report."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TypeVar

import httpx
import msgspec

from voxpool.leakgate.errors import TraceError
from voxpool.leakgate.inside.report import MemoryReport
from voxpool.leakgate.inside.tracing import TRACE_SECONDS_MAX, Trace
from voxpool.leakgate.readings.naming import Tracing

ERROR_CHARACTERS = 200
Answer = TypeVar("Answer")


def tracing_at(http: httpx.Client, url: str, packages: Sequence[str] = ()) -> Tracing:
    """Return the switch for a Naming; `packages` are installed packages that belong to the program."""
    post = partial(_asked, http, "POST", url)
    return Tracing(
        start=lambda frames, seconds: post(
            Trace, trace="start", frames=str(frames), seconds=str(max(1, min(TRACE_SECONDS_MAX, round(seconds))))
        ),
        mark=lambda: post(Trace, trace="mark"),
        top=lambda: _trace_of(_asked(http, "GET", url, MemoryReport, trace="top", types="0")),
        stop=lambda: post(Trace, trace="stop"),
        packages=packages,
    )


def _trace_of(report: MemoryReport) -> Trace:
    if report.trace is None:
        raise TraceError("the report has no trace")
    return report.trace


def _asked(http: httpx.Client, method: str, url: str, kind: type[Answer], **parameters: str) -> Answer:
    """Return the answer of the process. Raises TraceError."""
    try:
        response = http.request(method, url, params=parameters)
        if response.status_code != 200:
            raise TraceError(f"{url} answers {response.status_code}: {response.text[:ERROR_CHARACTERS]}")
        return msgspec.json.decode(response.content, type=kind)
    except (httpx.HTTPError, httpx.InvalidURL, msgspec.DecodeError) as error:
        raise TraceError(f"{url}: {str(error) or type(error).__name__}") from error
