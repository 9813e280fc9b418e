"""The memory watch as a part of a run: it is made from the options at each start; page and report read its report."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from voxpool.leakgate.judging.finding import MemoryFinding
from voxpool.leakgate.judging.judge import UNCLEAR, warm_up
from voxpool.leakgate.report.report import WatchReport
from voxpool.leakgate.watching.watch import Watch
from voxpool.loadtest.memory._page import add_memory_page
from voxpool.loadtest.memory._report_append import append_memory
from voxpool.loadtest.memory._source import STORE, SchedulerReader
from voxpool.loadtest.running._part import Context
from voxpool.loadtest.users._state import STATE

logger = logging.getLogger("voxpool.load")


class MemoryPart:
    """Watches the scheduler's memory in the process that decides; in other processes it does nothing."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._watch: Watch | None = None
        if context.decides:
            warm_up()
            if context.web_ui is not None:
                base = str(getattr(context.environment.parsed_options, "web_base_path", "") or "")
                add_memory_page(context.web_ui, base, self.report)

    def start(self) -> None:
        """Start a new watch."""
        context, options = self._context, self._context.options
        self._watch = None
        if not context.decides or options.memory == "off":
            return
        self._watch = Watch(
            lambda: SchedulerReader(
                context.host, options.admin_token, redis_url=options.redis_url, ca_file=options.ca_file,
                bounds=options.bounds,
            ),
            limit_bytes=options.leak_limit,
            every_s=options.memory_interval_s,
            is_loaded=lambda: STATE.open,
            load=lambda: int(context.runner.user_count),
            exercised=self._exercised,
            needed=(STORE,) if options.redis_url else (),
        )  # fmt: skip
        self._watch.start()

    def stop(self) -> None:
        """Stop the watch; its report is kept."""
        if self._watch is not None:
            self._watch.stop()

    def report(self, with_power: bool = False) -> WatchReport:
        """Return the current report. `with_power` computes the smallest detectable leak."""
        if self._watch is None:
            is_off = self._context.options.memory == "off"
            reason = "the memory watch is off" if is_off else "no run has started yet"
            return WatchReport(finding=MemoryFinding(verdict=UNCLEAR, reason=reason))
        return self._watch.report(with_power)

    @property
    def naming_s(self) -> float:
        """Duration of `name_lines`, in seconds."""
        return 0.0 if self._watch is None else self._watch.naming_s

    @property
    def is_naming(self) -> bool:
        """True while `name_lines` runs."""
        return self._watch is not None and self._watch.is_naming

    def settle(self, report: WatchReport) -> None:
        """Keep the verdict of `report`, whatever is read after it."""
        if self._watch is not None:
            self._watch.settle(report)

    def name_lines(self) -> None:
        """Trace the scheduler's allocations, to name the lines that leak; returns at once."""
        if self._watch is None:
            return
        note = (
            "memory leaks and no count explains it: the scheduler's allocations were traced for about "
            f"{self.naming_s:,.0f} s at the end, which slows it down"
        )
        self._context.notes.append(note)
        logger.info("Memory leaks and no count explains it: allocations are traced for about %.0f s", self.naming_s)
        self._watch.name_lines()

    def on_quitting(self, **_: Any) -> None:
        """Append the charts to Locust's HTML report, if there is one."""
        path = getattr(self._context.environment.parsed_options, "html_file", None)
        if self._context.decides and self._watch is not None and path:
            append_memory(Path(path), self.report())

    def _exercised(self) -> dict[str, int]:
        """Return the numbers of the load's actions that a leak may depend on; on a master those of all workers."""
        entries = list(self._context.environment.stats.entries.values())

        def requests(is_one: Callable[[str], bool]) -> int:
            return sum(int(one.num_requests) for one in entries if is_one(one.name))

        came_again = requests(lambda name: name == "register") - self._context.nodes
        return {
            "reconnects": requests(lambda name: name == "reconnect") + max(0, came_again),
            "errors": sum(int(one.num_failures) for one in entries)
            + requests(lambda name: name.startswith("misbehave:")),
            "cancels": requests(lambda name: name == "cancel"),
        }
