"""The scheduler's list of pools: all pages, the maximum of each pool, and the reason for a missing list."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.e2e.processes import wait_until
from voxpool.loadtest.measuring._pools_watch import PoolsWatch
from voxpool.loadtest.options._options import LoadOptions
from voxpool.loadtest.running._part import Context


class Lists(ThreadingHTTPServer):
    """A scheduler that only has the list of pools: two on a page."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.body = b""
        self.asked = 0
        self.tokens: set[str | None] = set()
        self.running = [1, 4, 2]
        """The successive values of the first pool; the last one stays."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Lists

    def do_GET(self) -> None:
        lists = self.server
        lists.tokens.add(self.headers["authorization"])
        cursor = parse_qs(urlsplit(self.path).query).get("cursor", [""])[0]
        if not cursor:
            lists.asked += 1
        running = lists.running[min(lists.asked, len(lists.running)) - 1]
        pools = [_pool(f"p{number}:x", running if number == 0 else 0) for number in range(5)]
        page = [pool for pool in pools if pool["pair"] > cursor][:2]
        following = page[-1]["pair"] if page[-1] is not pools[-1] else None
        body = lists.body or json.dumps({"pools": page, "total": 5, "next_cursor": following}).encode()
        self.send_response(lists.status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log nothing."""


def _pool(pair: str, running: int) -> dict[str, Any]:
    return {"pair": pair, "nodes": 3, "slots": 6, "running": running, "waiting": 0}


@pytest.fixture
def lists() -> Iterator[Lists]:
    """A running server of lists."""
    server = Lists()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def watch_of(host: str) -> PoolsWatch:
    context = Context(SimpleNamespace(), None, None, "local", LoadOptions(admin_token="t0ken"))
    context.host = host
    return PoolsWatch(context, first_s=0.01, every_s=0.01)


def test_all_pages_are_read_and_the_maximum_is_kept(lists: Lists) -> None:
    watch = watch_of(lists.url)
    watch.start()
    wait_until(lambda: lists.asked >= 4)
    watch.stop()
    assert sorted(watch.seen) == [f"p{number}:x" for number in range(5)]
    assert (watch.seen["p0:x"].running_max, watch.seen["p0:x"].nodes) == (4, 3)
    assert watch.unreadable == ""
    assert lists.tokens == {"Bearer t0ken"}


def test_a_rejection_is_reported_unless_there_was_a_list_before(lists: Lists) -> None:
    lists.status = 403
    watch = watch_of(lists.url)
    watch.start()
    wait_until(lambda: watch.unreadable)
    assert watch.unreadable == "GET /v1/pools answers 403"
    lists.status = 200
    wait_until(lambda: watch.seen)
    lists.status = 403
    asked = lists.asked
    wait_until(lambda: lists.asked >= asked + 2)
    watch.stop()
    assert watch.unreadable == ""


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"pools": [{"nodes": 1}]}', b"\xff"])
def test_an_answer_without_a_list_is_reported(lists: Lists, body: bytes) -> None:
    lists.body = body
    watch = watch_of(lists.url)
    watch.start()
    wait_until(lambda: watch.unreadable)
    watch.stop()
    assert watch.unreadable.startswith("GET /v1/pools: ")


def test_a_missing_scheduler_is_in_the_reason(lists: Lists) -> None:
    watch = watch_of("http://127.0.0.1:1")
    watch.start()
    wait_until(lambda: watch.unreadable)
    watch.stop()
    assert "ConnectError" in watch.unreadable
    assert watch.seen == {}


def test_a_new_test_begins_without_the_pools_of_the_last(lists: Lists) -> None:
    watch = watch_of(lists.url)
    watch.start()
    wait_until(lambda: watch.seen)
    watch.stop()
    lists.status = 500
    watch.start()
    assert watch.seen == {}
    wait_until(lambda: watch.unreadable)
    watch.stop()
    assert watch.unreadable == "GET /v1/pools answers 500"
