"""Jobs as a table with a header, as kubectl shows what it lists; and a watch that adds a row for each change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from voxpool.leakgate.terminal import say, visible
from voxpool.scheduler.cli.output import job_line, write_lines

if TYPE_CHECKING:
    from voxpool.scheduler.protocol.answers import JobView

COLUMNS = ("job", "pair", "state", "node", "attempts", "age", "reason")
NONE = "-"
"""Shown for a missing value, so that each row has a word for each column."""
WATCH_S = 1.0
"""The time between two looks; a listing costs the scheduler a millisecond."""
_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def row(job: JobView, now_ms: int) -> list[str]:
    """Return the cells of `job`; its age is from its submit, by the clock of this machine."""
    age = age_text(max(0, now_ms - job.submitted_ms) // 1000)
    return [job.job_id, job.pair, job.state, job.node_id or NONE, str(job.attempts), age, job.error or NONE]


def age_text(seconds: int) -> str:
    """Return a time in its two largest units: 8s, 3m12s, 5h2m, 12d4h."""
    for place, (size, unit) in enumerate(_UNITS):
        if seconds >= size:
            whole, rest = divmod(seconds, size)
            below = _UNITS[place + 1] if place + 1 < len(_UNITS) else None
            less = f"{rest // below[0]}{below[1]}" if below and rest >= below[0] else ""
            return f"{whole}{unit}{less}"
    return "0s"


class JobTable:
    """Writes jobs under one header; with `as_json` each is a line of JSON. `now_ms` is the wall clock."""

    def __init__(self, as_json: bool, now_ms: Callable[[], int]) -> None:
        self._as_json = as_json
        self._now_ms = now_ms
        self._widths: list[int] = []

    def write(self, jobs: Sequence[JobView]) -> None:
        """Write `jobs`, below those that were written before."""
        if self._as_json:
            for job in jobs:
                say(job_line(job, as_json=True))
            return
        now_ms = self._now_ms()
        lines = [row(job, now_ms) for job in jobs]
        if not self._widths:
            lines.insert(0, list(COLUMNS))
        self._widths = write_lines(lines, self._widths)

    def write_whole(self, jobs: Sequence[JobView]) -> None:
        """Write `jobs`, and below the table the details of failures and the outputs."""
        import msgspec

        self.write(jobs)
        if self._as_json:
            return
        for job in jobs:
            if job.detail:
                say(f"{job.job_id}  detail  {visible(job.detail)}")
            if job.output is not None:
                say(f"{job.job_id}  output  {visible(msgspec.json.encode(job.output).decode())}")


def watch(look: Callable[[], Sequence[JobView]], table: JobTable, *, until_ended: bool) -> None:
    """Write what `look` finds, newest first, and then each job that is new or changed, until Ctrl-C.

    With `until_ended` it returns once all of them have ended.
    """
    shown: dict[str, tuple[str, str, int]] = {}
    pause = threading.Event()
    while True:
        found = look()
        now = {job.job_id: (job.state, job.node_id, job.attempts) for job in found}
        changed = [job for job in found if now[job.job_id] != shown.get(job.job_id)]
        if changed or not shown:
            table.write(changed[::-1] if shown else changed)
        if until_ended and all(job.times_ms is not None for job in found):
            return
        shown = now
        pause.wait(WATCH_S)
