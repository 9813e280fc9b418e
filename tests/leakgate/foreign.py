"""A small foreign server, a Starlette application in a process of its own, with leaks that can be switched on.

Run as a module it serves on a free port of 127.0.0.1 and prints the port. The first argument is the leak: "none",
"all", or a name of four_leaks.py; with "mended" as the second argument it does the same work and releases everything.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar
from urllib.request import urlopen

from tests.leakgate.four_leaks import LEAKS, Shop

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "s3cret"
PATIENCE_S = 20.0
T = TypeVar("T")


class ShopWithCache(Shop):
    """A shop with a bounded cache."""

    def __init__(self) -> None:
        super().__init__()
        self.recent: deque[str] = deque(maxlen=5)


def serve(leak: str, mended: bool) -> None:
    """Serve until a signal arrives."""
    import uvicorn
    from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Mount, Route
    from starlette.types import Receive, Scope, Send

    from voxpool.leakgate.inside.asgi import CountRequests, MemoryApp
    from voxpool.leakgate.readings.series import Bound

    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    orders = Counter("orders_total", "Orders.", ["kind"], registry=registry)
    cleaned = Gauge("last_clean_up_timestamp_seconds", "When.", registry=registry)
    shop = ShopWithCache()
    leaks = {"none": (), "all": tuple(LEAKS)}.get(leak, (leak,))
    works = [LEAKS[name](shop, mended) for name in leaks]

    async def order(request: Request) -> Response:
        orders.labels(request.query_params.get("kind", "book")).inc()
        shop.recent.append("order " * 50 + str(time.perf_counter_ns()))
        for work in works:
            work()
        if request.query_params.get("kind") == "broken":
            raise RuntimeError("broken")
        return PlainTextResponse("thank you")

    async def clean_up(_request: Request) -> Response:
        cleaned.set(time.time())
        return PlainTextResponse("clean")

    async def metrics(_request: Request) -> Response:
        return PlainTextResponse(generate_latest(registry).decode())

    reports = 0

    async def report(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal reports
        reports += 1
        await memory(scope, receive, send)

    async def count_reports(_request: Request) -> Response:
        return PlainTextResponse(str(reports))

    roots = {"shop": shop, "foreign": sys.modules[__name__]}
    bounds = {"table shop.recent": Bound(5, 400.0)}
    memory = MemoryApp(roots, TOKEN, bounds=bounds)
    app = Starlette(
        routes=[
            Route("/order", order),
            Route("/clean-up", clean_up),
            Route("/metrics", metrics),
            Route("/reports", count_reports),
            Mount("/debug/leakgate", report),
        ],
        middleware=[Middleware(CountRequests)],
    )
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="critical")).run([listener])


class Foreign:
    """The server as a process."""

    def __init__(self, leak: str, mended: bool = False) -> None:
        command = [sys.executable, "-m", "tests.leakgate.foreign", leak, *(["mended"] if mended else [])]
        self.popen = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.popen.stdout is not None
        self.port = int(self.popen.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"
        self.report_url = f"{self.url}/debug/leakgate"
        self.metrics_url = f"{self.url}/metrics"

    def reports(self) -> int:
        """Return how often its memory report was requested."""
        with urlopen(f"{self.url}/reports", timeout=10) as answer:
            return int(answer.read())

    def stop(self) -> None:
        """End it."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(5)
        self.popen.kill()
        self.popen.communicate()


@contextlib.contextmanager
def foreign(leak: str = "none", mended: bool = False) -> Iterator[Foreign]:
    """Run the server during the block."""
    server = Foreign(leak, mended)
    try:
        until(lambda: _answers(server.port))
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def child(code: str) -> Iterator[subprocess.Popen[str]]:
    """Run `code` in a Python process during the block; it has printed its first line, and ends with its input."""
    popen = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert popen.stdout is not None and popen.stdout.readline()
        yield popen
    finally:
        popen.kill()
        popen.communicate()


def until(look: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
    """Return the first true value of `look`."""
    end_s = time.monotonic() + patience_s
    while not (found := look()):
        assert time.monotonic() < end_s, "it did not come"
        time.sleep(0.01)
    return found


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


if __name__ == "__main__":
    assert os.getcwd() == str(ROOT)
    serve(sys.argv[1], sys.argv[2:] == ["mended"])
