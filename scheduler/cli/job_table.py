"""Jobs as a table with a header, as kubectl shows what it lists; and a watch that adds a row for each change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from voxpool.leakgate.terminal import say, visible
from voxpool.scheduler.cli.output import job_line, write_lines

if TYPE_CHECKING:
    from voxpool.scheduler.protocol.answers import JobView

COLUMNS = ("job", "pair", "state", "node", "attempts", "age", "reason")
NONE = "-"
"""Shown for a missing value, so that each row has a word for each column."""
WATCH_S = 1.0
"""Between two looks; a second is what a person sees, and a listing costs the scheduler a millisecond."""
WATCHED_MAX = 1000
"""Jobs that one look of a watch may list: ten requests."""
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


class NewestJobs:
    """The newest `limit` jobs of `state` ("" = any), one look after the other.

    A later look has all jobs that came since the one before, though they are more than `limit`, and, as it is now, each
    job that the one before had and that had not ended. It looks no further than the WATCHED_MAX newest jobs.
    `list_jobs` lists at most so many jobs of a state, the newest first.
    """

    def __init__(self, list_jobs: Callable[[int, str], Iterator[JobView]], limit: int, state: str) -> None:
        self._list_jobs = list_jobs
        self._limit = limit
        self._state = state
        self._open: set[str] = set()
        self._last_ms: float | None = None
        """When the newest job so far was submitted; None before the first look."""

    def look(self) -> list[JobView]:
        """Return them, the newest first."""
        is_first = self._last_ms is None
        last_ms = 0 if self._last_ms is None else self._last_ms
        found: list[JobView] = []
        for job in self._list_jobs(self._limit if is_first else max(self._limit, WATCHED_MAX), self._state):
            if not is_first and len(found) >= self._limit and job.submitted_ms < last_ms:
                break
            found.append(job)
        self._last_ms = max(last_ms, *(job.submitted_ms for job in found)) if found else last_ms
        gone = self._open - {job.job_id for job in found}
        self._open = {job.job_id for job in found if job.times_ms is None}
        for job in self._list_jobs(WATCHED_MAX, "") if gone else ():
            if job.job_id in gone:
                gone.remove(job.job_id)
                found.append(job)
                if job.times_ms is None and self._state in ("", job.state):
                    self._open.add(job.job_id)
            if not gone:
                break
        return found


def watch(look: Callable[[], Sequence[JobView]], table: JobTable, *, until_ended: bool) -> Sequence[JobView]:
    """Write what `look` finds, newest first, and then each job that is new or changed, until Ctrl-C.

    With `until_ended` it returns the jobs once all of them have ended.
    """
    shown: dict[str, tuple[str, str, int]] = {}
    is_first = True
    pause = threading.Event()
    while True:
        found = look()
        now = {job.job_id: (job.state, job.node_id, job.attempts) for job in found}
        changed = [job for job in found if now[job.job_id] != shown.get(job.job_id)]
        if changed or is_first:
            table.write(changed if is_first else changed[::-1])
        if until_ended and all(job.times_ms is not None for job in found):
            return found
        shown, is_first = now, False
        pause.wait(WATCH_S)
