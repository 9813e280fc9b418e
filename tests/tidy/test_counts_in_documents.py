"""Counts in documents are right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from voxpool.sim.checkers import CHECKERS
from voxpool.sim.faults import FAULTS

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
WORDS = (
    *("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen"),
    *("fourteen", "fifteen", "sixteen"),
)
COUNTS = {"checkers": len(CHECKERS), "kinds of faults": len(FAULTS)}


def wrong_counts(text: str, what: str, count: int) -> list[str]:
    """Return each phrase of `text` that names another number of `what` than `count`."""
    found = re.finditer(rf"\b(\d+|{'|'.join(WORDS)})\s+{what}\b", text, re.IGNORECASE)
    numbers = {match[0]: int(match[1]) if match[1].isdigit() else WORDS.index(match[1].lower()) + 1 for match in found}
    return [phrase for phrase, number in numbers.items() if number != count]


@pytest.mark.parametrize("what", COUNTS)
def test_counts_in_documents_are_right(what: str) -> None:
    wrong = {file.name: wrong_counts(file.read_text(), what, COUNTS[what]) for file in DOCUMENTS}
    assert {name: phrases for name, phrases in wrong.items() if phrases} == {}


def test_a_wrong_count_is_found() -> None:
    assert wrong_counts("14 in trace and twelve checkers, and 14 checkers", "checkers", 14) == ["twelve checkers"]
