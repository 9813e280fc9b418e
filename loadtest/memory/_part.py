"""The memory watch as a part of a run: made from its options at each start, asked for its report by page and report."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from loadtest.memory._page import add_memory_page
from loadtest.memory._records import MemoryFinding, MemoryReport
from loadtest.memory._report_append import append_memory
from loadtest.memory._verdict import LEAK_FLOOR, UNCLEAR, warm_up
from loadtest.memory._watch import MemoryWatch
from loadtest.running._part import Context
from loadtest.users._state import STATE


class MemoryPart:
    """Watches the scheduler's memory on the process that decides; the others do nothing."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._watch: MemoryWatch | None = None
        if context.decides:
            warm_up()
            if context.web_ui is not None:
                base = str(getattr(context.environment.parsed_options, "web_base_path", "") or "")
                add_memory_page(context.web_ui, base, self.report)

    def start(self) -> None:
        """Begin to watch, from nothing."""
        context, options = self._context, self._context.options
        if not context.decides:
            return
        self._watch = MemoryWatch(
            context.host,
            options.admin_token,
            options.memory,
            time.monotonic,
            redis_url=options.redis_url,
            leak_floor=options.leak_floor or LEAK_FLOOR,
            every_s=options.memory_interval_s,
            ca_file=options.ca_file,
            is_loaded=lambda: STATE.open,
            users=lambda: int(context.runner.user_count),
        )
        self._watch.start()

    def stop(self) -> None:
        """End it; its report stays."""
        if self._watch is not None:
            self._watch.stop()

    def report(self) -> MemoryReport:
        """Return what is known by now."""
        if self._watch is None:
            return MemoryReport(self._context.options.memory, MemoryFinding(UNCLEAR, "no run has started yet"))
        return self._watch.report()

    def on_quitting(self, **_: Any) -> None:
        """Locust has written its own report, if it was asked to: the charts come into it."""
        path = getattr(self._context.environment.parsed_options, "html_file", None)
        if self._context.decides and self._watch is not None and path:
            append_memory(Path(path), self.report())
