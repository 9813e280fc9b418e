"""The table of bounds in SECURITY.md names existing tests and existing settings with their defaults."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from voxpool.scheduler.config import Settings

ROOT = Path(__file__).parents[2]
BOUNDS = (ROOT / "SECURITY.md").read_text().partition("| limit | setting |")[2].partition("\n\n")[0]
ROWS = [line.strip("| ").split(" | ") for line in BOUNDS.splitlines()[2:]]
TEST = re.compile(r"`(?:(tests/[\w/]+\.py|test_\w+\.py)|…)(?:::(test_\w+))?`")


def missing(rows: list[list[str]]) -> list[str]:
    """Return the tests in the last column that do not exist, and the unknown settings in the second."""
    known = {field.name for field in msgspec.structs.fields(Settings)}
    wrong: list[str] = []
    for row in rows:
        wrong += [name for name in re.findall(r"`([a-z_]+)`", row[1]) if name not in known]
        file = ""
        found = TEST.findall(row[4])
        wrong += [] if found else [row[0]]
        for name, test in found:
            file = name or file
            path = ROOT / (file if "/" in file else f"tests/e2e/{file}")
            if not path.exists() or (test and f"def {test}(" not in path.read_text()):
                wrong.append(f"{file}::{test}")
    return wrong


def test_each_bound_has_an_existing_setting_and_an_existing_test() -> None:
    assert len(ROWS) > 20
    assert missing(ROWS) == []


def test_a_wrong_name_is_found() -> None:
    row = ["a bound", "`no_setting`", "1", "closed", "`test_strangers.py::test_that_is_not_there`, `…::test_neither`"]
    nowhere = [f"test_strangers.py::{name}" for name in ("test_that_is_not_there", "test_neither")]
    assert missing([row]) == ["no_setting", *nowhere]
