"""A receiver of OTLP over HTTP for the tests: it decodes spans from protobuf; it may be slow or refuse."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2

KINDS = trace_pb2.Span.SpanKind
ERROR = trace_pb2.Status.StatusCode.STATUS_CODE_ERROR


@dataclass(frozen=True)
class Received:
    """A decoded span; attributes without their prefix `voxpool.`."""

    name: str
    service: str
    trace: str
    span: str
    parent: str
    kind: str
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    error: str
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


class Receiver:
    """`spans` are the received spans; `raw` is the last bodies. `status` is the answer, sent once `gate` is open."""

    def __init__(self) -> None:
        self.spans: list[Received] = []
        self.raw: list[bytes] = []
        self.paths: set[tuple[str, str]] = set()
        self.requests = 0
        self.status = 200
        self.gate = threading.Event()
        self.gate.set()
        self.url = ""

    def named(self, name: str) -> list[Received]:
        """Return the spans of that name, without the prefix `voxpool.`."""
        return [span for span in list(self.spans) if span.name == f"voxpool.{name}"]

    def of_trace(self, trace: str) -> list[Received]:
        """Return the spans of one trace in the order of their starts."""
        return sorted((span for span in list(self.spans) if span.trace == trace), key=lambda span: span.start_ns)

    def job(self, job_id: str) -> Received | None:
        """Return the span of that job, or None."""
        found = [span for span in self.named("job") if span.attributes["job_id"] == job_id]
        assert len(found) <= 1, found
        return found[0] if found else None

    def take(self, path: str, kind: str, body: bytes) -> None:
        """Decode a body."""
        self.requests += 1
        self.paths.add((path, kind))
        if self.status != 200:
            return
        self.raw.append(body)
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            service = _attributes(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                self.spans += [_received(span, service) for span in scope.spans]


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """Run a receiver that listens at its `url`."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.gate.wait()
            receiver.take(self.path, self.headers["content-type"], body)
            self.send_response(receiver.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield receiver
    finally:
        receiver.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()


def tree(spans: Sequence[Received], root: str = "", label: Callable[[Received], str] | None = None) -> list[Any]:
    """Return the spans under `root` (a span id) as nested [label, children…], in the order of their starts.

    Raises AssertionError when the parent of a span is missing.
    """
    ids = {span.span for span in spans}
    assert len(ids) == len(spans)
    assert {span.parent for span in spans} <= {*ids, root}, "each parent is there"
    name = label or (lambda span: span.name.removeprefix("voxpool."))

    def below(parent: str) -> list[Any]:
        children = sorted((span for span in spans if span.parent == parent), key=lambda span: span.start_ns)
        return [[name(span), *below(span.span)] for span in children]

    return below(root)


def _received(span: trace_pb2.Span, service: str) -> Received:
    return Received(
        span.name,
        service,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        KINDS.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _attributes(span.attributes),
        span.status.message if span.status.code == ERROR else "",
        [(event.name, _attributes(event.attributes)) for event in span.events],
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key.removeprefix("voxpool."): getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
