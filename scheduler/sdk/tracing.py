"""The SDK's end of traces: the span that a submit belongs to, and the span of the work on a node.

It uses OpenTelemetry only where the program has imported it: other programs have no spans and no cost. No span contains
audio, output or the text of an exception.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from voxpool.scheduler import __version__
from voxpool.scheduler.engines.engine import Work
from voxpool.scheduler.errors import word
from voxpool.scheduler.protocol.messages import WorkError
from voxpool.scheduler.protocol.trace_context import checked, is_sampled, span_id, trace_id, traceparent

Ended = Callable[[WorkError | None], None]
"""Called with the error of the work; None means success."""


def current_trace() -> str | None:
    """Return the traceparent of the span that the caller is in, or None."""
    api = _api()
    if api is None:
        return None
    context = api.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return traceparent(context.trace_id, context.span_id, context.trace_flags.sampled)


@contextlib.contextmanager
def work_span(work: Work, node_id: str) -> Iterator[Ended]:
    """A context with a span around the work on `work`, below the one that came with it."""
    api = _api()
    if api is None or not (work.trace or _is_set_up(api)):
        yield _ignore
        return
    attributes = {
        "voxpool.job_id": work.job_id,
        "voxpool.pair": work.pair,
        "voxpool.attempt": work.attempt,
        "voxpool.node_id": node_id,
        **({"voxpool.session_id": work.session_id} if work.session_id else {}),
    }
    tracer = api.get_tracer("voxpool", __version__)
    with tracer.start_as_current_span(
        "voxpool.work",
        context=_context(api, checked(work.trace)),
        kind=api.SpanKind.SERVER,
        attributes=attributes,
        record_exception=False,  # its text may be what was spoken
        set_status_on_exception=False,
    ) as span:

        def ended(error: WorkError | None) -> None:
            if error is not None:
                span.set_attribute("voxpool.reason", word(error.reason))
                span.set_status(api.StatusCode.ERROR, word(error.reason))

        try:
            yield ended
        finally:
            if work.cancelled.is_set():
                span.set_attribute("voxpool.cancelled", True)


def _context(api: Any, parent: str) -> Any:
    """Return the context that `parent` names; without one, the empty context: the work has no parent here."""
    from opentelemetry.context import Context

    if not parent:
        return Context()
    flags = api.TraceFlags(api.TraceFlags.SAMPLED if is_sampled(parent) else api.TraceFlags.DEFAULT)
    trace_number = int(trace_id(parent) or "", 16)
    span = api.SpanContext(trace_number, int(span_id(parent), 16), is_remote=True, trace_flags=flags)
    return api.set_span_in_context(api.NonRecordingSpan(span), Context())


def _api() -> Any:
    return sys.modules.get("opentelemetry.trace")


def _is_set_up(api: Any) -> bool:
    """Return whether the program has chosen where spans go; otherwise a library has only imported the API."""
    return not isinstance(api.get_tracer_provider(), api.ProxyTracerProvider)


def _ignore(error: WorkError | None) -> None:
    pass
