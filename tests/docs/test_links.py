"""Every link of every Markdown file has a target, and every file that is named exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reference.pages import ROOT
from tests.docs.markdown import anchors, links, pages

PAGES = pages()
FOLDERS = sorted(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith((".", "out")))
NAMED = re.compile(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)})/[\w./*-]*[\w*/]")
"""A path of the repository in a text."""
NAMES_REMOVED = {"CHANGELOG.md"}
"""Pages that name removed files, because they describe the removal."""


def broken_links(page: Path, text: str) -> list[str]:
    """Return the links of `page` that have no target in this repository."""
    found = []
    for link in links(text):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        path = (page.parent / target) if target else page
        known = path.exists() and (not anchor or anchor in anchors(text if path == page else path.read_text()))
        found += [] if known else [link]
    return found


def missing_files(text: str) -> list[str]:
    """Return the paths in `text` that are no file and no folder."""
    without_targets = re.sub(r"\]\([^)]*\)", "]", text)
    named = [path for path in NAMED.findall(without_targets) if not re.search(r"[A-Z]{2,}(?!\w*\.md)", path)]
    return [path for path in named if not any(ROOT.glob(path.rstrip("/")))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_have_targets(page: Path) -> None:
    assert broken_links(page, page.read_text()) == []


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name not in NAMES_REMOVED], ids=lambda page: str(page.relative_to(ROOT))
)
def test_named_files_exist(page: Path) -> None:
    assert missing_files(page.read_text()) == []


def test_broken_links_are_found() -> None:
    page = ROOT / "README.md"
    text = "# One\n[a](nowhere.md) [b](#one) [c](#two) [d](https://x.org) `docs/nowhere.md`, docs/*.md or tests/docs/"
    assert broken_links(page, text) == ["nowhere.md", "#two"]
    assert missing_files(text) == ["docs/nowhere.md"]
