"""Encoding of spans as OTLP, and the handling of each answer of a receiver."""

from __future__ import annotations

import io
import random
import threading
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event as SdkEvent
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from tests.unit.metrics_rig import Stopwatch
from tests.unit.test_span_ship import log_of
from voxpool.scheduler import __version__
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.clock import SystemClock
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.telemetry.traces import otlp, spans
from voxpool.scheduler.telemetry.traces.otlp import SLICE, OtlpExporter
from voxpool.scheduler.telemetry.traces.spans import Event, Span
from voxpool.scheduler.telemetry.traces.tracing import open_tracing

NOW_NS = 1_795_604_132_358_999_581
SPAN = Span(spans.JOB, 2**127 + 5, 2**63 + 6, 7, NOW_NS, NOW_NS + 9, {"voxpool.pair": "zh:en", "voxpool.attempt": 2})
FAILED = SPAN._replace(
    name=spans.ATTEMPT,
    parent=8,
    error="timeout",
    events=[Event("redispatched", NOW_NS + 1, {"voxpool.reason": "closed"})],
)
ROOT = SPAN._replace(parent=0)
REMOTE = SPAN._replace(has_remote_parent=True)


def exporter(
    environment: Mapping[str, str] | None = None, step_s: float = 0.01, timeout_s: float = 10.0
) -> OtlpExporter:
    """An exporter whose clock advances by `step_s` at each reading."""
    return OtlpExporter("http://127.0.0.1:1/v1/traces", timeout_s, "i-1", Stopwatch(step_s), environment or {})


def by_the_sdk(span: Span) -> ReadableSpan:
    """Encode the same span with the SDK's own encoder."""
    flags = TraceFlags(TraceFlags.SAMPLED)
    kind = SpanKind.SERVER if span.name == spans.JOB else SpanKind.CLIENT
    return ReadableSpan(
        span.name,
        SpanContext(span.trace, span.span, False, flags),
        SpanContext(span.trace, span.parent, span.has_remote_parent, flags) if span.parent else None,
        Resource({}),
        dict(span.attributes),
        [SdkEvent(event.name, dict(event.attributes), event.at_ns) for event in span.events],
        (),
        kind,
        instrumentation_scope=InstrumentationScope("voxpool", __version__),
        status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.UNSET),
        start_time=span.start_ns,
        end_time=span.end_ns,
    )


@pytest.mark.parametrize("span", [SPAN, FAILED, ROOT, REMOTE])
def test_a_span_is_encoded_as_the_sdk_does_it(span: Span) -> None:
    ours = ExportTraceServiceRequest.FromString(exporter().encode([span])).resource_spans[0].scope_spans[0]
    theirs = encode_spans([by_the_sdk(span)]).resource_spans[0].scope_spans[0]
    assert ours.spans[0].flags == theirs.spans[0].flags | TraceFlags.SAMPLED
    theirs.spans[0].flags = ours.spans[0].flags
    theirs.spans[0].status.SetInParent()
    ours.spans[0].status.SetInParent()
    assert ours == theirs


def test_a_batch_is_one_request_with_the_resource() -> None:
    batch = [SPAN._replace(span=number) for number in range(1, 3 * SLICE)]
    (resource,) = ExportTraceServiceRequest.FromString(exporter().encode(batch)).resource_spans
    assert [int.from_bytes(span.span_id) for span in resource.scope_spans[0].spans] == list(range(1, 3 * SLICE))
    reported = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
    assert reported["service.name"] == "voxpool" and reported["service.instance.id"] == "i-1"
    assert reported["service.version"] == __version__


def test_the_environment_may_name_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "speech")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
    (resource,) = ExportTraceServiceRequest.FromString(exporter().encode([SPAN])).resource_spans
    reported = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
    assert reported["service.name"] == "speech" and reported["deployment.environment"] == "test"


class Answers:
    """Replaces the HTTP client's transport: it gives one answer after the other, and repeats the last one."""

    def __init__(self, *answers: int | Exception | httpx.Response) -> None:
        self.left = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(answer)


class NoPauses(threading.Event):
    """Replaces the exporter's timer: pauses are recorded instead of waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.made.append(timeout or 0.0)
        return self.is_set()


def answered(answers: Answers, one: OtlpExporter) -> tuple[str, list[float]]:
    """Export a span to a receiver with these answers; return the outcome and the pauses."""
    pauses = NoPauses()
    if one._aborted.is_set():
        pauses.set()
    one._aborted = pauses
    one._http = httpx.Client(transport=httpx.MockTransport(answers), headers=one._http.headers)
    return one.export([SPAN]), pauses.made


@pytest.mark.parametrize("passing", [429, 502, 503, 504, httpx.ConnectError("refused"), httpx.ReadTimeout("slow")])
def test_a_temporary_error_is_retried(passing: int | Exception) -> None:
    answers = Answers(passing, passing, 200)
    assert answered(answers, exporter()) == ("", [0.5, 1.0])
    assert len({request.content for request in answers.requests}) == 1 and len(answers.requests) == 3


@pytest.mark.parametrize("final", [400, 401, 404, 413, 500, 301])
def test_a_final_error_is_not_retried(final: int) -> None:
    answers = Answers(final)
    assert answered(answers, exporter()) == (f"HTTP status {final}", []) and len(answers.requests) == 1


def test_a_batch_is_given_up_after_its_time() -> None:
    answers = Answers(503)
    failure, pauses = answered(answers, exporter(step_s=1.0, timeout_s=10.0))
    assert failure == "HTTP status 503" and len(answers.requests) == len(pauses) + 1
    assert pauses == [0.5, 1.0, 2.0], "the clock says 1 s at the start and 9 s before a pause of 4 s would end too late"


@pytest.mark.parametrize(("message", "pause_s"), [("3", 3.0), ("0", 0.5), ("-1", 0.5), ("Wed, 25 Nov 2026", 0.5)])
def test_the_receiver_may_request_a_pause(message: str, pause_s: float) -> None:
    answers = Answers(httpx.Response(429, headers={"retry-after": message}), 200)
    assert answered(answers, exporter()) == ("", [pause_s])


def test_after_an_abort_nothing_is_retried() -> None:
    one = exporter()
    one.abort()
    answers = Answers(httpx.ConnectError("refused"))
    assert answered(answers, one)[0] == "ConnectError: refused" and len(answers.requests) == 1


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"])
def test_headers_of_the_environment_are_sent(name: str) -> None:
    answers = Answers(200)
    assert answered(answers, exporter({name: "authorization=Bearer%20abc,x-team=speech"})) == ("", [])
    headers = answers.requests[0].headers
    assert (headers["authorization"], headers["x-team"]) == ("Bearer abc", "speech")
    assert headers["content-type"] == "application/x-protobuf"


def test_an_unreadable_certificate_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"OTEL_EXPORTER_OTLP_CERTIFICATE = .*no-file"):
        exporter({"OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "no-file")})


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ("http://127.0.0.1:1", "http://127.0.0.1:1/v1/traces"),
        ("http://127.0.0.1:1/", "http://127.0.0.1:1/v1/traces"),
        ("http://127.0.0.1:1/collect/v1/traces", "http://127.0.0.1:1/collect/v1/traces"),
    ],
)
async def test_an_endpoint_without_a_path_gets_that_of_otlp(
    given: str, whole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def note(self: OtlpExporter, batch: object) -> str:
        asked.append(self._endpoint)
        return ""

    monkeypatch.setattr(otlp.OtlpExporter, "export", note)
    settings = Settings(traces_endpoint=given)
    tracing = open_tracing(settings, SystemClock(), random.Random(1), log_of(io.BytesIO()), "i")
    assert tracing is not None
    tracing.ship.give(SPAN)
    await tracing.close()
    assert asked == [whole]
