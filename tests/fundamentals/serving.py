"""Worker nodes inside the process of a test."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from tests.e2e.conftest import running
from tests.e2e.processes import Scheduler, until
from voxpool import Work, Worker

DRAIN_S = 5.0
"""A failed test does not wait longer for work in progress."""


class Nodes:
    """Starts worker nodes of one scheduler and stops them at the end of `stack`."""

    def __init__(self, scheduler: Scheduler, stack: AsyncExitStack) -> None:
        self._scheduler = scheduler
        self._stack = stack
        self._started = 0

    async def start(
        self,
        pair: str,
        work: Callable[[Work], Any],
        *,
        slots: int = 1,
        url: str = "",
        on_event: Callable[[str], None] = lambda text: None,
    ) -> Worker:
        """Return a node that serves `pair`, once it takes jobs; `url` may be that of a proxy to the scheduler."""
        self._started += 1
        node_id = f"{pair.partition(':')[0]}-{self._started}"
        node = Worker(
            url or self._scheduler.url,
            node_id=node_id,
            pairs=[pair],
            slots=slots,
            work=work,
            drain_s=DRAIN_S,
            on_event=on_event,
        )
        task = await self._stack.enter_async_context(running(node))
        await until(lambda: task.done() or node_id in self.ready())
        return node

    def ready(self) -> list[str]:
        """Return the ids of the nodes that take jobs."""
        return self._scheduler.node_ids()
