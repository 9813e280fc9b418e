"""A ScriptRunner around another one: the base of those that watch the script calls without any change of the core."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.core.seams import ScriptRunner


class AroundRunner:
    """Passes everything on to `inner`."""

    def __init__(self, inner: ScriptRunner) -> None:
        self.inner = inner

    @property
    def on_restart(self) -> Callable[[], None] | None:
        """Called when the store lost its data."""
        return self.inner.on_restart

    @on_restart.setter
    def on_restart(self, call: Callable[[], None] | None) -> None:
        self.inner.on_restart = call

    async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Run `calls`. Raises what the inner runner raises."""
        return await self.inner.run(calls)
