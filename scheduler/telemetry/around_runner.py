"""A ScriptRunner around another one: the base of those that watch the script calls without any change of the core."""

from __future__ import annotations

from collections.abc import Sequence

from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.core.seams import ScriptRunner


class AroundRunner:
    """Passes everything on to `inner`."""

    def __init__(self, inner: ScriptRunner) -> None:
        self.inner = inner

    @property
    def restarts(self) -> int:
        """How often the store may have lost its data."""
        return self.inner.restarts

    async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Run `calls`. Raises what the inner runner raises."""
        return await self.inner.run(calls)
