"""Sends spans by OTLP (HTTP, protobuf) with the exporter of OpenTelemetry. Needs the extra voxpool[traces].

The exporter has the retries, and reads OTEL_EXPORTER_OTLP_HEADERS, …_CERTIFICATE, …_COMPRESSION and
OTEL_RESOURCE_ATTRIBUTES of the environment, as people who run collectors expect.
"""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from scheduler import __version__
from scheduler.telemetry import spans
from scheduler.telemetry.spans import Span

SERVICE = "voxpool"
"""The service's name unless OTEL_SERVICE_NAME gives another one."""
_KINDS = {
    spans.JOB: SpanKind.SERVER,
    spans.SELECT: SpanKind.CLIENT,
    spans.ATTEMPT: SpanKind.CLIENT,
    spans.WAITING: SpanKind.INTERNAL,
    spans.LATE_RESULT: SpanKind.INTERNAL,
}
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_UNSET = Status(StatusCode.UNSET)


class OtlpExporter:
    """Sends to `endpoint`, the whole URL. A batch is given up after `timeout_s`, in which it may be sent again."""

    def __init__(self, endpoint: str, timeout_s: float, instance: str) -> None:
        self._exporter = OTLPSpanExporter(endpoint=endpoint, timeout=timeout_s)
        resource = Resource.create({SERVICE_VERSION: __version__, SERVICE_INSTANCE_ID: instance})
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: SERVICE}))
        self._resource = resource
        self._scope = InstrumentationScope("voxpool", __version__)

    def export(self, batch: Sequence[Span]) -> bool:
        """Send `batch`; return whether it arrived. Blocks."""
        return self._exporter.export([self._readable(span) for span in batch]) is SpanExportResult.SUCCESS

    def abort(self) -> None:
        """Have an `export` that is under way try no more."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def _readable(self, span: Span) -> ReadableSpan:
        parent = SpanContext(span.trace, span.parent, span.has_remote_parent, _SAMPLED) if span.parent else None
        return ReadableSpan(
            name=span.name,
            context=SpanContext(span.trace, span.span, False, _SAMPLED),
            parent=parent,
            resource=self._resource,
            attributes=span.attributes,
            events=[Event(event.name, event.attributes, event.at_ns) for event in span.events],
            kind=_KINDS[span.name],
            instrumentation_scope=self._scope,
            status=Status(StatusCode.ERROR, span.error) if span.error else _UNSET,
            start_time=span.start_ns,
            end_time=span.end_ns,
        )
