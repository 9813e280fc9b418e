"""What a mutant is, and which files get them."""

from __future__ import annotations

from typing import NamedTuple

_DECIDERS = (
    *("dispatcher", "allocations", "timeouts", "leases", "clock"),
    *("jobs/job", "jobs/job_table", "jobs/waiting"),
)
PYTHON_FILES = tuple(f"scheduler/core/{name}.py" for name in _DECIDERS)
LUA_FOLDER = "lua"


class Mutant(NamedTuple):
    """One planted bug: `path` gets `source` instead of its text. `line` counts from 1."""

    path: str
    line: int
    kind: str
    before: str
    """The changed lines as they were, without the space around them."""
    after: str
    source: str

    @property
    def name(self) -> str:
        """One line that says what was planted where."""
        return f"{self.path}:{self.line} {self.kind}: {self.before} -> {self.after}"


def changed_lines(old: str, new: str) -> tuple[int, str, str]:
    """Return the first line in which the texts differ (from 1), and the lines that differ, before and after."""
    before, after = old.split("\n"), new.split("\n")
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    return start + 1, _joined(before[start : len(before) - end]), _joined(after[start : len(after) - end])


def _joined(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines)
