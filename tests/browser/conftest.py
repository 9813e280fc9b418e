"""Fixtures of this folder: Chromium, a page that tolerates no error, and a scheduler with nodes.

Tests here are coroutines on one event loop of the session, because the browser's connection lives there.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Iterator
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, async_playwright, expect

from tests.e2e.processes import EXAMPLES, Scheduler, until
from voxpool.scheduler.sdk import Work, Worker

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # The microphone plays a file in a loop; a page may use it when its context has the permission.
    "--use-fake-device-for-media-stream",
    f"--use-file-for-fake-audio-capture={EXAMPLES / 'station.wav'}",
]
PATIENCE_MS = 20_000
expect.set_options(timeout=PATIENCE_MS)
GONE = [
    "WebSocket connection to",
    "net::ERR_CON",  # refused, reset, closed; or a body shorter than declared
    "net::ERR_EMPTY_RESPONSE",
    "net::ERR_INCOMPLETE_CHUNKED_ENCODING",
    "net::ERR_INTERNET_DISCONNECTED",
]
"""Errors of Chromium when a server or a network goes away in the middle of a request."""
ON_SESSION_LOOP = pytest.mark.asyncio(loop_scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the coroutines of this folder on the loop of the browser."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and isinstance(item, pytest.Function) and iscoroutinefunction(item.function):
            item.add_marker(ON_SESSION_LOOP, append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for all tests, the package of Debian."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield chromium
        await chromium.close()


class Watched:
    """Forbidden actions of a page: errors in the console, exceptions, requests to another host."""

    def __init__(self, context: BrowserContext) -> None:
        self.tolerated: list[str] = []
        """Parts of messages that the test provokes."""
        self.complaints: list[str] = []
        self.requests: list[str] = []
        context.on("console", self._console)
        context.on("weberror", lambda error: self.complaints.append(f"exception: {error.error}"))
        context.on("request", self._request)

    def found(self) -> list[str]:
        """Return the complaints that the test did not provoke."""
        return [text for text in self.complaints if not any(part in text for part in self.tolerated)]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"console {message.type}: {message.text} {message.location.get('url', '')}")

    def _request(self, request: Request) -> None:
        url = urlsplit(request.url)
        self.requests.append(request.url)
        if url.scheme not in ("data", "blob") and url.hostname != "127.0.0.1":
            self.complaints.append(f"request to elsewhere: {request.url}")


class PageMaker:
    """Makes pages with their own options, such as a viewport or a colour scheme; all are watched."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[tuple[BrowserContext, Watched]] = []

    async def new(self, **options: Any) -> tuple[Page, Watched]:
        """Return a page in a fresh context, and its Watched."""
        context = await self._browser.new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        watched = Watched(context)
        self._contexts.append((context, watched))
        return await context.new_page(), watched

    async def close(self) -> list[str]:
        """Close all pages and return the complaints about them."""
        complaints: list[str] = []
        for context, watched in self._contexts:
            await context.close()
            complaints += watched.found()
        return complaints


@pytest_asyncio.fixture(loop_scope="session")
async def pages(browser: Browser) -> AsyncIterator[PageMaker]:
    """Makes pages; the test fails when one of them did something forbidden."""
    maker = PageMaker(browser)
    yield maker
    assert await maker.close() == []


@pytest_asyncio.fixture(loop_scope="session")
async def page(pages: PageMaker) -> Page:
    """A page of 1280 x 900."""
    return (await pages.new(viewport={"width": 1280, "height": 900}))[0]


HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>'\"&amp;"
"""Text that takes over a page that inserts it as HTML."""


async def violations(page: Page) -> list[str]:
    """Return the violations that axe finds in a page."""
    results = await Axe().run(page)
    return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in results.response["violations"]]


async def fits(page: Page) -> bool:
    """True when nothing of the page sticks out of its window."""
    is_fitting: bool = await page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    return is_fitting


NODES = {"ann": ["en:en", "zh:en"], "bob": ["en:en", "zh:en"], "cyd": ["en:en"]}


class Served:
    """A scheduler process, and the NODES in this process, with two slots each."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.url = scheduler.url
        self.gate = asyncio.Event()
        """When set, jobs end at once; when cleared, they stay with their nodes."""
        self.gate.set()
        self.output: Any = {"text": "hello"}
        """The answer of the nodes; an exception is raised."""
        self.workers = {
            name: Worker(self.url, node_id=name, pairs=pairs, slots=2, work=self._work) for name, pairs in NODES.items()
        }

    async def _work(self, work: Work) -> Any:
        await self.gate.wait()
        if isinstance(self.output, Exception):
            raise self.output
        return self.output


@pytest.fixture(scope="session")
def browsed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """The scheduler process behind `served`, one for all tests."""
    scheduler = Scheduler(tmp_path_factory.mktemp("browsed"), "memory", "--no-node-grace-s", "3600")
    yield scheduler
    assert scheduler.stop() == 0
    assert scheduler.events("scheduler_failed") == []
    assert scheduler.events("http_server") == []


@pytest_asyncio.fixture(loop_scope="session")
async def served(browsed: Scheduler) -> AsyncIterator[Served]:
    """A scheduler with three nodes that are connected while the test runs."""
    served = Served(browsed)
    async with contextlib.AsyncExitStack() as stack:
        for worker in served.workers.values():
            task = asyncio.create_task(worker.run())
            stack.push_async_callback(_end, worker, task)
        await until(lambda: len(browsed.node_ids()) == len(served.workers))
        yield served
        served.gate.set()
    await until(lambda: browsed.node_ids() == [])


async def _end(worker: Worker, task: asyncio.Task[None]) -> None:
    worker.stop()
    await task
