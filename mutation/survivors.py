"""The reasons why mutants survive:

survivors.toml, written by hand. A row without its mutant is dropped from the report.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from mutation.mutant import Mutant

FILE = Path(__file__).with_name("survivors.toml")


def read_reasons(file: Path = FILE) -> dict[tuple[str, str, str], str]:
    """Return path, line before, line after -> reason."""
    rows = tomllib.loads(file.read_text(encoding="utf-8")).get("survivor", [])
    return {(row["path"], row["before"], row["after"]): row["why"] for row in rows}


def reason_for(mutant: Mutant, reasons: dict[tuple[str, str, str], str]) -> str:
    """Return why `mutant` survives, or a note to find out."""
    return reasons.get((mutant.path, mutant.before, mutant.after), "not looked at yet")
