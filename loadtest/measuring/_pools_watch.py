"""The part of a run that polls the scheduler's pools: GET /v1/pools, page by page."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import msgspec

from voxpool.loadtest.report._records import PoolFigures
from voxpool.loadtest.running._part import Context
from voxpool.scheduler.protocol.answers import PoolView

FIRST_S = 1.0
EVERY_S = 5.0
ANSWER_TIMEOUT_S = 10.0
PAGES_MAX = 20
"""Largest number of pages, of 1,000 pools each; further pools are ignored."""


class _Page(msgspec.Struct):
    """The fields of an answer that are read."""

    pools: list[PoolView]
    next_cursor: str | None = None


class PoolsWatch:
    """Polls the pools in the process that decides. `seen` has the maximum figures of each pool."""

    def __init__(self, context: Context, first_s: float = FIRST_S, every_s: float = EVERY_S) -> None:
        self._context = context
        self._first_s = first_s
        self._every_s = every_s
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.seen: dict[str, PoolFigures] = {}
        self.unreadable = ""
        """Reason why no list could be read."""

    def start(self) -> None:
        """Start polling in another thread (a greenlet, where gevent has patched threads)."""
        self.forget()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._ask_until, args=(self._stopped,), name="pools", daemon=True)
        self._thread.start()

    def forget(self) -> None:
        """Drop the figures."""
        self.seen, self.unreadable = {}, ""

    def stop(self) -> None:
        """Stop polling."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(ANSWER_TIMEOUT_S)

    def _ask_until(self, stopped: threading.Event) -> None:
        options = self._context.options
        token = options.admin_token or options.client_token
        with httpx.Client(
            base_url=self._context.host,
            headers={"authorization": f"Bearer {token}"} if token else {},
            timeout=ANSWER_TIMEOUT_S,
            verify=_trust(options.ca_file),
        ) as client:
            pause_s = self._first_s
            while not stopped.wait(pause_s):
                pause_s = self._every_s
                try:
                    self._ask(client)
                except (httpx.HTTPError, msgspec.MsgspecError) as error:
                    self._failed(f"GET /v1/pools: {type(error).__name__} {error}".rstrip())

    def _ask(self, client: httpx.Client) -> None:
        cursor: dict[str, str] = {}
        for _ in range(PAGES_MAX):
            answer = client.get("/v1/pools", params=cursor)
            if answer.status_code != httpx.codes.OK:
                self._failed(f"GET /v1/pools answers {answer.status_code}")
                return
            page = msgspec.json.decode(answer.content, type=_Page)
            for pool in page.pools:
                self._note(pool)
            if not page.next_cursor:
                return
            cursor = {"cursor": page.next_cursor}

    def _note(self, pool: PoolView) -> None:
        self.unreadable = ""
        old = self.seen.get(pool.pair)
        self.seen[pool.pair] = PoolFigures(
            pair=pool.pair,
            nodes=max(pool.nodes, old.nodes if old else 0),
            slots=max(pool.slots, old.slots if old else 0),
            running_max=max(pool.running, old.running_max if old else 0),
            waiting_max=max(pool.waiting, old.waiting_max if old else 0),
        )

    def _failed(self, why: str) -> None:
        if not self.seen:
            self.unreadable = why


def _trust(ca_file: str) -> Any:
    """Return the value for `verify` of httpx."""
    if not ca_file:
        return True
    import ssl

    return ssl.create_default_context(cafile=ca_file)
