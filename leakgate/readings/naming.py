"""Finds the source lines whose allocations are not freed, after a leak without a leaking count.

It traces the allocations of the process and compares the memory of each line early and late in that time. Nothing here
waits or reads the process: the watch calls `step` after each reading. Allocated bytes can't be read while the tracing
is on, and the process is slower: such readings must not be judged.
"""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from voxpool.leakgate.errors import LeakgateError
from voxpool.leakgate.inside.tracing import Trace, TraceRow
from voxpool.leakgate.judging.finding import MemoryFinding, SourceLine
from voxpool.leakgate.readings.series import Source

NAME_S = 20.0
"""Seconds in which growth is compared."""
SETTLE_S = 2.0
"""Seconds before that, in addition to the retention of finished work, in which all allocations stay."""
SETTLE_MAX_S = 360.0
PAUSE_S = 2.0
"""Time between two reads of the lines, each of which stops the process for some ms."""
FRAMES = 5
LINGER_S = 40.0
"""Seconds for which the tracing continues unless it is stopped: growth is certain after the load and its work in flight
have ended."""
BOUND_S = 30.0
"""Seconds after these at which the process stops the tracing, because its client may be gone."""
LINES_MAX = 10
LINES_IN_REASON = 3
LINE_SHARE = 0.1
"""Lines with less than this share of the first line's memory are left out."""
EXPLAINED = 0.25
"""Minimum share of the growth of allocated bytes that the lines together must explain."""
_PACKAGES = re.compile(r"/(?:site|dist)-packages/")
_STDLIB = re.compile(r"/lib(?:64)?/python3(?:\.\d+)?t?/")
_OWN = "leakgate/inside/"


class Tracing(NamedTuple):
    """Switches the tracing of a process and reads it. Each raises LeakgateError."""

    start: Callable[[int, float], object]
    """Starts it, with the number of frames and the seconds after which the process stops it."""
    mark: Callable[[], object]
    top: Callable[[], Trace]
    stop: Callable[[], object]
    packages: Sequence[str] = ()
    """Installed packages that belong to the program, in addition to code that is neither installed nor Python's."""


class Naming:
    """One search for leaking lines. `source` has the retention of finished work.

    Leaking lines have more memory in the second half of the reads than in the first: the lowest figure of each half
    counts, so that memory freed by a clean-up or at the end of the load is not growth.
    """

    def __init__(self, tracing: Tracing, source: Source, name_s: float = NAME_S) -> None:
        self._tracing = tracing
        self._settle_s = settle_s(source)
        self._name_s = name_s
        self._start_s: float | None = None
        self._mark_s: float | None = None
        self._looks: list[tuple[int, dict[str, tuple[int, int]]]] = []
        self._is_on = False
        self.is_over = False
        """True after all reads. The tracing continues until `finish`, for at most LINGER_S."""
        self.lines: list[SourceLine] = []
        """The known lines with the most memory."""
        self.trouble = ""
        """Reason why there are no lines."""

    def step(self, work: int, t_s: float) -> None:
        """Continue after a reading at `t_s` with `work` finished units."""
        try:
            if self._start_s is None:
                self._tracing.start(FRAMES, self._settle_s + self._name_s + LINGER_S + BOUND_S)
                self._is_on, self._start_s = True, t_s
            elif not self._is_on:
                return
            elif self._mark_s is None:
                if t_s - self._start_s >= self._settle_s:
                    self._tracing.mark()
                    self._mark_s = t_s
                    self._looks.append((work, {}))
            else:
                self._look(work)
                self.is_over = self.is_over or t_s - self._mark_s >= self._name_s
                if t_s - self._mark_s >= self._name_s + LINGER_S:
                    self._stop()
        except LeakgateError as error:
            self.trouble = f"the allocations could not be traced: {error}"
            self.is_over = True
            self._stop()

    def finish(self, work: int | None = None) -> None:
        """Read once more, with `work` finished units, and stop the tracing, even early."""
        if self._is_on and self._mark_s is not None and work is not None:
            with contextlib.suppress(LeakgateError):  # earlier reads suffice, or `trouble` already has a reason
                self._look(work)
        self._stop()
        if not self.lines and not self.trouble:
            self.trouble = (
                "the tracing of allocations found no line that keeps more and more"
                if self.is_over
                else "the load ended before the lines that keep memory could be named: let it run longer"
            )
        self.is_over = True

    def _look(self, work: int) -> None:
        self._looks.append((work, _by_line(self._tracing.top().rows, self._tracing.packages)))
        self.lines = _growing(self._looks)

    def _stop(self) -> None:
        if self._is_on:
            self._is_on = False
            try:
                self._tracing.stop()
            except LeakgateError as error:
                self.trouble = self.trouble or f"the tracing of allocations could not be stopped: {error}"


def settle_s(source: Source) -> float:
    """Return the seconds of tracing after which growth can be distinguished from work that is retained on purpose."""
    return SETTLE_S + min(SETTLE_MAX_S, source.retention_s + source.interval_s if source.interval_s else 0.0)


def naming_s(source: Source) -> float:
    """Return the duration of a search, pauses included, in seconds."""
    return settle_s(source) + NAME_S + 3 * PAUSE_S


def lacks_a_name(finding: MemoryFinding) -> bool:
    """Return whether the leak has no specific name: it is of allocated bytes only, or of builtin types such as dict."""
    if finding.verdict != "leak":
        return False
    if finding.kind == "counts":
        return all(one.name.startswith("type ") and "." not in one.name for one in finding.growing)
    return finding.kind == "objects"


def with_lines(finding: MemoryFinding, naming: Naming | None, source: Source) -> MemoryFinding:
    """Return `finding` with the lines that `naming` found; without a search, with a note on how to get them."""
    if finding.verdict != "leak":
        return finding
    if naming is None:
        if not lacks_a_name(finding):
            return finding
        note = (
            f"to name the lines that allocate what stays takes about {naming_s(source):,.0f} s more of the load, after "
            "the leak is clear"
        )
        return msgspec.structs.replace(finding, notes=[*finding.notes, note])
    if not naming.is_over:
        note = "allocations are being traced, which names the lines that allocate what stays"
        return msgspec.structs.replace(finding, notes=[*finding.notes, note])
    if not naming.lines:
        return msgspec.structs.replace(finding, notes=[*finding.notes, *([naming.trouble] if naming.trouble else [])])
    growth = finding.allocated.a_unit if finding.allocated is not None else None
    if growth is not None and sum(line.a_unit for line in naming.lines) < EXPLAINED * growth:
        reason = f"{finding.reason}; no line of Python allocated it, so native code did"
        return msgspec.structs.replace(finding, reason=reason)
    named = ", ".join(f"{line.where} ({line.text} a {finding.unit})" for line in naming.lines[:LINES_IN_REASON])
    reason = f"{finding.reason}; allocated at {named}"
    notes = [*finding.notes, naming.trouble] if naming.trouble else finding.notes
    return msgspec.structs.replace(finding, reason=reason, lines=naming.lines, notes=notes)


def _growing(looks: list[tuple[int, dict[str, tuple[int, int]]]]) -> list[SourceLine]:
    """Return the lines whose lowest figure rose from the first half of the reads to the second, the fastest first."""
    if len(looks) < 2:
        return []
    halves = looks[: len(looks) // 2], looks[len(looks) // 2 :]
    found = []
    for where in {name for _, held in looks for name in held}:
        (work_before, before), (work_after, after) = (
            min(((work, held.get(where, (0, 0))) for work, held in half), key=lambda look: look[1]) for half in halves
        )
        if after[0] > before[0] and work_after > work_before:
            units = work_after - work_before
            line = SourceLine(
                where=where, a_unit=(after[0] - before[0]) / units, blocks_a_unit=(after[1] - before[1]) / units
            )
            found.append(line)
    found.sort(key=lambda line: (-line.a_unit, line.where))
    return [line for line in found[:LINES_MAX] if line.a_unit >= LINE_SHARE * found[0].a_unit]


def _by_line(rows: Sequence[TraceRow], packages: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return the growth (bytes, blocks) of each line since the mark; places with the same line are summed."""
    held: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in rows:
        where = line_of(row.lines, packages)
        if where:
            size, blocks = held[where]
            held[where] = size + row.grown_bytes, blocks + row.grown_blocks
    return dict(held)


def line_of(lines: Sequence[str], packages: Sequence[str] = ()) -> str:
    """Return the line to report of `lines` (path:line, the allocation first, then its callers), with a short path.

    It is the innermost line of the program, or the innermost line when none is of the program; "" when that belongs to
    leakgate.
    """
    ours = [line for line in lines if _is_of_program(line, packages)]
    line = next(iter(ours or lines), "")
    return "" if _OWN in line else _short(line, packages)


def _is_of_program(line: str, packages: Sequence[str]) -> bool:
    *_, installed = _PACKAGES.split(line)
    if installed != line:
        return re.split(r"[/.:]", installed, maxsplit=1)[0] in packages
    return not line.startswith("<") and _STDLIB.search(line) is None and _OWN not in line


def _short(line: str, packages: Sequence[str]) -> str:
    if line.startswith("<"):
        return line
    for separator in (_PACKAGES, _STDLIB):
        *before, inside = separator.split(line)
        if before:
            return inside
    for package in packages:
        _, found, inside = line.rpartition(f"/{package}/")
        if found:
            return f"{package}/{inside}"
    return "/".join(line.split("/")[-3:])
