"""Names the source lines whose allocations stay, after a leak that no count names.

It traces the allocations of the process for a while and compares what each line holds early and late in that time.
Nothing here waits or reads the process: whoever does calls `step` after each reading. Allocated bytes can't be read
while the tracing is on, and the process is slower: such readings must not be judged.
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
"""Seconds before that, on top of the time for which finished work is kept: until then all that is allocated stays."""
SETTLE_MAX_S = 360.0
PAUSE_S = 2.0
"""Between two looks at the lines: each stops the process for some ms."""
FRAMES = 5
LINGER_S = 40.0
"""Seconds for which the tracing goes on after that, if nobody stops it: once the load has ended and what was in flight
is gone, growth is certain."""
BOUND_S = 30.0
"""The process stops the tracing by itself that long after these: who started it may be gone."""
LINES_MAX = 10
LINES_IN_REASON = 3
LINE_SHARE = 0.1
"""Lines with less than this share of what the first line keeps are left out."""
EXPLAINED = 0.25
"""Lines that keep less than this share of the growth of allocated bytes together do not explain it."""
_PACKAGES = re.compile(r"/(?:site|dist)-packages/")
_STDLIB = re.compile(r"/lib(?:64)?/python3(?:\.\d+)?t?/")
_OWN = "leakgate/inside/"


class Tracing(NamedTuple):
    """Switches the tracing of a process and reads it. Each raises LeakgateError."""

    start: Callable[[int, float], object]
    """With the frames for each place, and the seconds after which the process stops it by itself."""
    mark: Callable[[], object]
    top: Callable[[], Trace]
    stop: Callable[[], object]
    packages: Sequence[str] = ()
    """Installed packages that are the program; beside them all that is neither installed nor Python's own."""


class Naming:
    """One search for the lines that leak. `source` has the times for which finished work is kept.

    The lines are those that hold more in the second half of the looks than in the first: of each half the lowest figure
    counts, so that what a clean-up removes again, or the end of the load, is no growth.
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
        """True when there are as many looks as wanted. The tracing goes on until `finish`, for LINGER_S at most."""
        self.lines: list[SourceLine] = []
        """The lines that keep most, as far as they are known."""
        self.trouble = ""
        """Why there are no lines."""

    def step(self, work: int, t_s: float) -> None:
        """Go on, after a reading at `t_s` that found `work` units finished."""
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
        """Look once more, when `work` units are finished, and stop the tracing; also before its time."""
        if self._is_on and self._mark_s is not None and work is not None:
            with contextlib.suppress(LeakgateError):  # what is known is enough, or the reason why not is another one
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
    """Return how long a naming takes, with its pauses, in seconds."""
    return settle_s(source) + NAME_S + 3 * PAUSE_S


def lacks_a_name(finding: MemoryFinding) -> bool:
    """Return whether it is a leak that nothing names: of allocated bytes alone, or of builtin types such as dict."""
    if finding.verdict != "leak":
        return False
    if finding.kind == "counts":
        return all(one.name.startswith("type ") and "." not in one.name for one in finding.growing)
    return finding.kind == "objects"


def with_lines(finding: MemoryFinding, naming: Naming | None, source: Source) -> MemoryFinding:
    """Return `finding` with the lines that `naming` found; if there was none, with a note of how to have them."""
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
    """Return the lines whose lowest figure rose from the first half of the looks to the second, the fastest first."""
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
    """Return (bytes, blocks) that each line holds more than at the mark; places with the same line are added up."""
    held: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in rows:
        where = line_of(row.lines, packages)
        if where:
            size, blocks = held[where]
            held[where] = size + row.grown_bytes, blocks + row.grown_blocks
    return dict(held)


def line_of(lines: Sequence[str], packages: Sequence[str] = ()) -> str:
    """Return the line to name among `lines` (path:line, the allocation first, then its callers), with a short path.

    It is the innermost one of the program; the innermost one at all when the program has none among them; "" when that
    belongs to the reading of memory itself.
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
