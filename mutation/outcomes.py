"""The killed mutants of earlier runs, one JSON line each: a mutant that was killed once is not tried again."""

from __future__ import annotations

import json
from pathlib import Path

from mutation.mutant import Mutant
from mutation.trial import Fate, Outcome


class Outcomes:
    """Stores outcomes in `file`; without a file it stores nothing."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        lines = file.read_text(encoding="utf-8").splitlines() if file is not None and file.exists() else []
        self._killed = {row["name"]: row for row in map(json.loads, lines)}

    def of(self, mutant: Mutant) -> Outcome | None:
        """Return the outcome of `mutant` when a test killed it."""
        row = self._killed.get(mutant.name)
        return None if row is None else Outcome(mutant, Fate(row["fate"]), row["killer"], row["seconds"])

    def add(self, outcome: Outcome) -> None:
        """Append `outcome` if its mutant was killed."""
        if self._file is not None and outcome.killed:
            row = {
                "name": outcome.mutant.name,
                "fate": outcome.fate,
                "killer": outcome.killer,
                "seconds": outcome.seconds,
            }
            with self._file.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(row)}\n")
