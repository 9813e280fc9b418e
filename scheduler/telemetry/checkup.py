"""What somebody who looks for trouble wants to know of a running scheduler and can't see from outside."""

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
    """The settings as they were given, what the system allows, and what the store says of itself."""

    version: str
    now_ms: int
    settings: dict[str, Any]
    needs_tokens: bool
    open_files_max: int
    store: StoreFacts | None
    """None = it is in memory, or it did not say anything."""
    store_error: str | None = None
    """What script calls are answered now instead of what they ask for, or why it said nothing of itself."""


class Inspected(Protocol):
    """A store that can tell of its server; the one in this process has none."""

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
        """Return how things are now."""
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
