"""A worker process with OpenTelemetry: python -m tests.e2e.traced_worker URL RECEIVER NODE_ID PAIR KIND

KIND is thread or async. Each job gets a span of the user's own, `user`, under that of the SDK. The end of the audio
determines the outcome: `fail`, `raise`, or `wait`, which never ends by itself; else the job completes.
"""

from __future__ import annotations

import asyncio
import sys
import threading

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from voxpool.scheduler.sdk import Work, Worker, WorkFailed
from voxpool.scheduler.sdk.function import run_until_signalled

SPOKEN = "the patient said: call me back tomorrow"


def work(job: Work) -> dict[str, object]:
    """Do what the audio specifies."""
    tracer = trace.get_tracer("user")
    with tracer.start_as_current_span("user", record_exception=False, set_status_on_exception=False) as span:
        if job.audio.endswith(b"fail"):
            raise WorkFailed("broken_model", SPOKEN)
        if job.audio.endswith(b"raise"):
            raise RuntimeError(SPOKEN)
        if job.audio.endswith(b"wait"):
            threading.Event().wait()
        return {"trace": job.trace, "span": f"{span.get_span_context().span_id:016x}", "text": SPOKEN}


async def work_async(job: Work) -> dict[str, object]:
    """Do what the audio specifies, on the loop."""
    if job.audio.endswith(b"wait"):
        with trace.get_tracer("user").start_as_current_span("user"):
            await asyncio.Event().wait()
    return work(job)


def main(url: str, receiver: str, node_id: str, pair: str, kind: str) -> None:
    """Run the worker until SIGTERM."""
    provider = TracerProvider(resource=Resource.create({"service.name": "worker"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=f"{receiver}/v1/traces")))
    trace.set_tracer_provider(provider)
    engine = work if kind == "thread" else work_async
    asyncio.run(run_until_signalled(Worker(url, node_id=node_id, pairs=[pair], slots=4, work=engine)))
    provider.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
