"""Sends spans by OTLP (HTTP, protobuf). Needs the extra voxpool[traces]: the messages are opentelemetry-proto's.

They are filled here rather than by the SDK's exporter, which takes three times as long for a span and holds the
interpreter for a whole batch: the loop would be blocked meanwhile. It uses the usual variables of the
environment: OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_CERTIFICATE (or both with …_TRACES_…),
OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, SpanFlags, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.util.re import parse_env_headers

from voxpool.scheduler import __version__
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.telemetry.traces import spans
from voxpool.scheduler.telemetry.traces.spans import Span

SERVICE = "voxpool"
"""The service's name unless OTEL_SERVICE_NAME gives another one."""
SLICE = 32
"""Spans that are encoded at a time; then other threads get the interpreter."""
BREATH_S = 0.0001
FIRST_PAUSE_S = 0.5
"""The pause before the first repetition; it doubles."""
PASSING = frozenset({429, 502, 503, 504})
"""Answers after which the same may be sent again (OTLP 1.5, failures)."""
_SAMPLED = 1
_KINDS = {
    spans.JOB: SpanMessage.SPAN_KIND_SERVER,
    spans.SELECT: SpanMessage.SPAN_KIND_CLIENT,
    spans.ATTEMPT: SpanMessage.SPAN_KIND_CLIENT,
    spans.WAITING: SpanMessage.SPAN_KIND_INTERNAL,
    spans.LATE_RESULT: SpanMessage.SPAN_KIND_INTERNAL,
}
_FLAGS = _SAMPLED | SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_REMOTE = SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK


class OtlpExporter:
    """Sends to `endpoint`, the whole URL. A batch is sent again for `timeout_s` at most; `seconds` is a clock.

    Raises ConfigError for a certificate that can't be read.
    """

    def __init__(
        self,
        endpoint: str,
        timeout_s: float,
        instance: str,
        seconds: Callable[[], float],
        environment: Mapping[str, str],
    ) -> None:
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._seconds = seconds
        self._aborted = threading.Event()
        self._resource = ResourceSpans()
        _set(self._resource.resource.attributes, _resource(instance).items())
        headers = parse_env_headers(_of_environment(environment, "HEADERS"), liberal=True)
        self._http = httpx.Client(
            headers={**headers, "content-type": "application/x-protobuf"},
            verify=_trusted(_of_environment(environment, "CERTIFICATE")),
            trust_env=False,
        )

    def export(self, batch: Sequence[Span]) -> str:
        """Send `batch`; return "", or why it did not arrive. Blocks."""
        body = self.encode(batch)
        end_s = self._seconds() + self._timeout_s
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                timeout_s = max(end_s - self._seconds(), BREATH_S)
                response = self._http.post(self._endpoint, content=body, timeout=timeout_s)
            except httpx.TransportError as error:
                failure, asked_s = f"{type(error).__name__}: {error}", 0.0
            else:
                if response.is_success:
                    return ""
                failure, asked_s = f"HTTP status {response.status_code}", _retry_after_s(response)
                if response.status_code not in PASSING:
                    return failure
            wait_s = max(pause_s, asked_s)
            if self._seconds() + wait_s >= end_s or self._aborted.wait(wait_s):
                return failure
            pause_s *= 2

    def abort(self) -> None:
        """Let an `export` in progress stop trying."""
        self._aborted.set()

    def encode(self, batch: Sequence[Span]) -> bytes:
        """Return `batch` as an ExportTraceServiceRequest."""
        scope = ScopeSpans()
        scope.scope.name, scope.scope.version = "voxpool", __version__
        for number, span in enumerate(batch, 1):
            _fill(scope.spans.add(), span)
            if number % SLICE == 0:
                self._aborted.wait(BREATH_S)
        whole = ResourceSpans(resource=self._resource.resource, scope_spans=[scope])
        body: bytes = ExportTraceServiceRequest(resource_spans=[whole]).SerializeToString()
        return body


def _fill(message: SpanMessage, span: Span) -> None:
    message.trace_id = span.trace.to_bytes(16, "big")
    message.span_id = span.span.to_bytes(8, "big")
    message.flags = _FLAGS
    if span.parent:
        message.parent_span_id = span.parent.to_bytes(8, "big")
        if span.has_remote_parent:
            message.flags |= _REMOTE
    message.name = span.name
    message.kind = _KINDS[span.name]
    message.start_time_unix_nano = span.start_ns
    message.end_time_unix_nano = span.end_ns
    _set(message.attributes, span.attributes.items())
    if span.error:
        message.status.code = Status.STATUS_CODE_ERROR
        message.status.message = span.error
    for event in span.events:
        moment = message.events.add()
        moment.name, moment.time_unix_nano = event.name, event.at_ns
        _set(moment.attributes, event.attributes.items())


def _set(attributes: Any, values: Iterable[tuple[str, str | int]]) -> None:
    for name, value in values:
        attribute = attributes.add()
        attribute.key = name
        if isinstance(value, str):
            attribute.value.string_value = value
        else:
            attribute.value.int_value = value


def _resource(instance: str) -> dict[str, str | int]:
    """Return the attributes of this process; OTEL_… of the environment may add to them, and name it."""
    found = Resource.create({SERVICE_VERSION: __version__, SERVICE_INSTANCE_ID: instance}).attributes
    known = {name: value for name, value in found.items() if isinstance(value, str | int)}
    if str(known[SERVICE_NAME]).startswith("unknown_service"):
        known[SERVICE_NAME] = SERVICE
    return known


def _of_environment(environment: Mapping[str, str], name: str) -> str:
    return environment.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or environment.get(f"OTEL_EXPORTER_OTLP_{name}", "")


def _trusted(certificate: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=certificate or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"OTEL_EXPORTER_OTLP_CERTIFICATE = {certificate}: {error}") from None


def _retry_after_s(response: httpx.Response) -> float:
    """Return the seconds that the receiver asks to wait; 0 when it gives none, or a date."""
    try:
        return max(0.0, float(response.headers.get("retry-after", "")))
    except ValueError:
        return 0.0
