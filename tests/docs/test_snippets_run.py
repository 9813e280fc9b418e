"""Every snippet of README.md, CONTRIBUTING.md and docs/ is executed on a real scheduler; snippet_table.py has
exceptions.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reference.commands import COMMANDS
from reference.pages import ROOT
from tests.docs.markdown import Block, blocks, prose
from tests.docs.snippet_table import ROWS, RUN_ELSEWHERE
from tests.docs.stage import Page, Stage, check_json, check_scenario_part
from tests.docs.statements import statements

NAMES = ["README.md", "CONTRIBUTING.md", *(str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("docs/**/*.md")))]
SHELL, OUTPUT = "sh", "text"
LANGUAGES = (SHELL, "python", "toml", "json", OUTPUT)
PROGRAMS = {*COMMANDS, "make", "locust", "curl", "pip", "python", "docker", "git"}
"""Beginnings that a block of output must not have: it would be a command that is not run."""


def blocks_of(name: str) -> list[Block]:
    return blocks((ROOT / name).read_text())


def misplaced(text: str) -> list[str]:
    """Return the blocks of a page whose language is unknown, or that are hidden as output or by indentation."""
    found = [f"no language of ours: {block.text}" for block in blocks(text) if block.language not in LANGUAGES]
    for block in blocks(text):
        if block.language == OUTPUT and (block.text.split() or [""])[0] in PROGRAMS:
            found.append(f"a command as output: {block.text}")
    lines = prose(text).splitlines()
    return found + [
        f"indented: {line}"
        for before, line in zip(["", *lines], lines, strict=False)
        if not before and line[:4] == "    "
    ]


def play(page: Page, text: str) -> None:
    """Run all blocks of a page."""
    for block in blocks(text):
        if block.language == SHELL:
            page.shell(block.text)
        elif block.language == "python":
            page.python(block.text)


def runs(block: Block) -> bool:
    """True when something of a block is executed."""
    if block.language == SHELL:
        return any(line not in ROWS or ROWS[line].run for line in statements(block.text))
    return block.language == "python"


RUN = [name for name in NAMES if name not in RUN_ELSEWHERE and any(runs(block) for block in blocks_of(name))]


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("stage"))
    try:
        with made.nodes():
            yield made
    finally:
        made.stop()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", RUN)
def test_snippets_work(name: str, stage: Stage, tmp_path: Path) -> None:
    with Page(stage, tmp_path) as page:
        play(page, (ROOT / name).read_text())
    assert page.wrong == []


@pytest.mark.parametrize("name", [name for name in NAMES if name not in RUN_ELSEWHERE])
def test_every_block_has_a_language_and_data_can_be_read(name: str, tmp_path: Path) -> None:
    assert misplaced((ROOT / name).read_text()) == []
    for block in blocks_of(name):
        if block.language == "toml":
            check_scenario_part(block.text, tmp_path)
        elif block.language == "json":
            check_json(block.text)


def test_each_row_of_the_table_is_for_a_statement_of_a_page() -> None:
    shown = {
        line
        for name in NAMES
        for block in blocks_of(name)
        if block.language == SHELL
        for line in statements(block.text)
    }
    assert sorted(set(ROWS) - shown) == []
    assert [row for row in ROWS.values() if not row.reason] == []
    for name, test in RUN_ELSEWHERE.items():
        assert (ROOT / name).exists() and name in (ROOT / test).read_text()


@pytest.mark.timeout(600)
def test_a_failing_snippet_is_found(stage: Stage, tmp_path: Path) -> None:
    with Page(stage, tmp_path) as page:
        play(
            page,
            "```sh\nvoxpool nodes\nvoxpool submit --pair en:en nowhere.wav   # no such file\n```\n"
            "```python\nfrom voxpool import Clientt\n```\n"
            "```sh\ncurl 'http://127.0.0.1:5010/v1/nowhere'\n```\n",
        )
    first, second, third = page.wrong
    assert first.startswith("voxpool submit --pair en:en nowhere.wav: exit code 3")
    assert "Clientt" in second and "404" in third


def test_a_hidden_command_is_found() -> None:
    hidden = "```\nvoxpool serve\n```\n\n```text\nvoxpool serve\n```\n\n    voxpool serve\n"
    assert [line.split(":")[0] for line in misplaced(hidden)] == [
        "no language of ours",
        "a command as output",
        "indented",
    ]


def test_shell_blocks_are_split_into_statements() -> None:
    text = "one --a \\\n    'b # c'   # a comment\n\n# nothing\ntwo '\n  three'  # end\n"
    assert list(statements(text)) == ["one --a 'b # c'", "two '\n three'"]
