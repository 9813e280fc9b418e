"""Mutants, and the files that get them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

LUA_FOLDER = "lua"
SCOPE = (
    "scheduler/core",
    "scheduler/stores",
    "scheduler/web/sessions",
    "scheduler/protocol/in_order.py",
    *(f"scheduler/sdk/{name}.py" for name in ("client", "many", "worker_node")),
    "scheduler/sdk/work",
    *(
        f"scheduler/sdk/wire/{name}.py"
        for name in ("acknowledgements", "backoff", "connection", "heartbeats", "request", "session")
    ),
    LUA_FOLDER,
)
"""Files and folders that get mutants: the code that decides about jobs, nodes and results."""


def files_in_scope(root: Path) -> list[str]:
    """Return the Python files and scripts of SCOPE below `root`, in order."""
    found: list[str] = []
    for name in SCOPE:
        path = root / name
        files = [path] if path.is_file() else sorted(path.rglob("*.lua" if name == LUA_FOLDER else "*.py"))
        found += [str(file.relative_to(root)) for file in files]
    return found


class Mutant(NamedTuple):
    """One planted bug: `path` gets `source` instead of its text. `line` counts from 1."""

    path: str
    line: int
    kind: str
    before: str
    """The original changed lines, without surrounding space."""
    after: str
    source: str

    @property
    def name(self) -> str:
        """Describe the planted bug and its place in one line."""
        return f"{self.path}:{self.line} {self.kind}: {self.before} -> {self.after}"


class Candidate(NamedTuple):
    """A change of `path` that is a mutant when `make` returns one: some texts don't compile, some are equal."""

    path: str
    place: str
    """Names the change within its file; where possible, changes elsewhere in the file do not affect it."""
    make: Callable[[], Mutant | None]

    def rank(self, seed: int) -> str:
        """Return a random number by which candidates are drawn. It depends only on the candidate and `seed`."""
        return hashlib.blake2b(f"{seed} {self.path} {self.place}".encode(), digest_size=8).hexdigest()


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
