"""The snippets of the pages match the package: commands have these options, Python code type-checks."""

from __future__ import annotations

import importlib.util
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from mypy import api

from reference.commands import COMMANDS
from reference.pages import ROOT
from tests.docs.commands import lines_of, wrong_with
from tests.docs.markdown import blocks, pages
from tests.docs.stage import SHOP

PAGES = [page for page in pages() if page.name != "CHANGELOG.md"]
PRELUDE = """\
import asyncio
from collections.abc import Callable
from typing import Any

my_model: Callable[[bytes], str]
wav_bytes: bytes
"""
"""Names that the snippets use without defining them."""


@pytest.fixture(scope="module")
def locust_options() -> str:
    """The options of Locust, of a load run and of the plugin; Locust is not imported, since it patches the process."""
    locust = importlib.util.find_spec("locust")
    assert locust is not None and locust.origin is not None
    own = Path(locust.origin).with_name("argument_parser.py").read_text()
    listed = CliRunner().invoke(COMMANDS["voxpool-load"], ["options"]).output
    return own + listed + (ROOT / "leakgate" / "locust_plugin.py").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_accept_the_lines_of_the_pages(page: Path, locust_options: str) -> None:
    found = {line: wrong_with(line, locust_options) for line in lines_of(page.read_text())}
    assert {line: wrong for line, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("voxpool serve --porto 1", "No such option"),
        ("voxpool sing", "voxpool has no command sing"),
        ("voxpool submit --pair", "requires an argument"),
        ("voxpool token x --role king", "is not one of"),
        ("voxpool nodes x", "does not take x"),
        ("voxpool-sim leak --quickly  # a comment", "No such option"),
        ("voxpool serve | head --nothing", None),
        ("VOXPOOL_TOKEN=x voxpool nodes --nothing", "No such option"),
        ("voxpool jobs [--watch] [ID…]", None),
        ("make supper", "no target supper"),
        ("python -m voxpool.nothing", "no module voxpool.nothing"),
        ("locust -f loadtest/ --nothing=3 --headless", "no option --nothing"),
        ("locust -f loadtest/ --headless", None),
        (".venv/bin/locust -f loadtest/ --nothing=3", "no option --nothing"),
        (".venv/bin/loadtest compare a b", "no command loadtest"),
    ],
)
def test_a_wrong_line_is_found(line: str, wrong: str | None) -> None:
    message = wrong_with(line, "  --headless  --nothing-else")
    assert (message is None) if wrong is None else (message is not None and wrong in message)


def python_blocks() -> Iterator[tuple[str, str]]:
    """Yield a name and the code of each block of Python."""
    for page in PAGES:
        for number, block in enumerate(block for block in blocks(page.read_text()) if block.language == "python"):
            yield f"{page.relative_to(ROOT).with_suffix('')}_{number}".replace("/", "_").replace("-", "_"), block.text


def module_of(code: str) -> str:
    """Return the code with the names that it presupposes; in a coroutine when it awaits at the top level.

    Types are optional.
    """
    if re.search(r"^def test_", code, re.MULTILINE):
        code = f"# mypy: allow-untyped-defs\n{code}"
    if any(line.startswith(("async with", "await ", "async for")) for line in code.splitlines()):
        code = "async def main() -> None:\n" + textwrap.indent(code, "    ")
    return PRELUDE + code


def test_python_has_the_types_of_the_package(tmp_path: Path) -> None:
    for name, code in python_blocks():
        (tmp_path / f"{name}.py").write_text(module_of(code))
    assert len(list(tmp_path.glob("*.py"))) >= 5
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "wrong.py").write_text(module_of("from voxpool import Client\nClient(1).submit('text')\n"))
    options = ["--strict", "--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache")]
    found, failed, _ = api.run([*options, str(tmp_path)])  # its imports are in the cache of `make lint`
    lines = [line for line in found.splitlines() if ": error:" in line and str(tmp_path.name) in line]
    assert failed == "", failed
    assert [line for line in lines if "wrong.py" not in line] == []
    assert any("wrong.py" in line for line in lines)
