"""The facts about a running scheduler that a diagnosis needs and that can't be seen from outside."""

from __future__ import annotations

import resource
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec

from voxpool.scheduler import __version__
from voxpool.scheduler.config import Settings
from voxpool.scheduler.errors import StoreUnavailable
from voxpool.scheduler.stores.facts import StoreFacts
from voxpool.scheduler.stores.shown import without_password


class Checkup(msgspec.Struct):
    """The settings of the user, the limits of the system, and the facts about the store."""

    version: str
    now_ms: int
    settings: dict[str, Any]
    needs_tokens: bool
    open_files_max: int
    store: StoreFacts | None
    """None = it is in memory, or it gave no answer."""
    store_error: str | None = None
    """The error that script calls get now, or why the store gave no facts."""


class Inspected(Protocol):
    """A store that has facts about its server; the one in this process has none."""

    def facts(self, now_ms: Callable[[], int]) -> Awaitable[StoreFacts | None]:
        """Ask it. Raises StoreUnavailable."""
        ...


class CheckupReporter:
    """Makes a Checkup when asked. `script_error` returns what is wrong with script calls now, "" = nothing."""

    def __init__(
        self,
        settings: Settings,
        store: Inspected,
        now_ms: Callable[[], int],
        needs_tokens: bool,
        script_error: Callable[[], str] = str,
    ) -> None:
        self._settings = settings
        self._store = store
        self._now_ms = now_ms
        self._needs_tokens = needs_tokens
        self._script_error = script_error

    async def report(self) -> Checkup:
        """Return the present state."""
        facts, store_error = None, None
        try:
            facts = await self._store.facts(self._now_ms)
        except StoreUnavailable as error:
            store_error = str(error)
        settings = msgspec.to_builtins(self._settings)
        return Checkup(
            version=__version__,
            now_ms=self._now_ms(),
            settings={**settings, "store": without_password(self._settings.store)},
            needs_tokens=self._needs_tokens,
            open_files_max=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            store=facts,
            store_error=self._script_error() or store_error,
        )
