"""docs/reports/wire.md lists the modules of the scheduler that no run of the whole stack enters; the list is checked
here.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

import voxpool.sim.wire.run  # noqa: F401 - before the run: the body of a class that is imported is a call, too
from reference.pages import ROOT
from voxpool.scheduler.config import FAIR
from voxpool.scheduler.protocol import framing
from voxpool.sim.cli.play import SCENARIOS
from voxpool.sim.play import play
from voxpool.sim.scenario.scenario import load_scenario

PAGE = ROOT / "docs" / "reports" / "wire.md"
SCHEDULER = ROOT / "scheduler"
DURATION_S = 30.0


def documented() -> list[str]:
    """Return the patterns of the table: paths below scheduler/ in its first column."""
    section = PAGE.read_text().partition("## Modules that no run enters")[2]
    return re.findall(r"`([\w./*]+)`", "\n".join(line.split("|")[1] for line in section.splitlines() if "|" in line))


def with_code() -> set[Path]:
    """Return the modules with a function that has a body: records, protocols and constants have none."""
    return {
        path for path in SCHEDULER.rglob("*.py") if any(map(_does_something, ast.walk(ast.parse(path.read_text()))))
    }


def _does_something(node: ast.AST) -> bool:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return not all(isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) for line in node.body)


def entered() -> set[Path]:
    """Return the modules with a function that a run of the packaged scenario, in the order `fair`, calls."""
    files: set[str] = set()

    def called(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call" and frame.f_code.co_name != "<module>":
            files.add(frame.f_code.co_filename)

    packaged = load_scenario(SCENARIOS / "wire.toml")
    settings = {**packaged.settings, "order": FAIR}
    scenario = msgspec.structs.replace(packaged, duration_s=DURATION_S, settings=settings)
    framing._masks = framing._fresh_masks()  # those left by another test in this process would hide chance.py
    sys.setprofile(called)
    try:
        played = play(scenario)
    finally:
        sys.setprofile(None)
    assert played.broken == []
    return {path for path in (Path(file).resolve() for file in files) if path.is_relative_to(SCHEDULER)}


def test_the_page_lists_the_modules_that_no_run_enters() -> None:
    """If this fails, a module is new or a run has begun to enter it: update the page."""
    code = with_code()
    never = {str(path.relative_to(SCHEDULER)) for path in code - entered()}
    listed = {path for pattern in documented() for path in SCHEDULER.glob(pattern)}
    assert never == {str(path.relative_to(SCHEDULER)) for path in listed & code}
