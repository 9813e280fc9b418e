"""The generated parts of docs/ are up to date with the source."""

from __future__ import annotations

from pathlib import Path

import pytest

from reference.blocks import filled, names_of
from reference.pages import DOCS, generated, generators

PAGES = generated()


@pytest.mark.parametrize("path", sorted(PAGES), ids=lambda path: str(path.relative_to(DOCS)))
def test_the_committed_pages_are_up_to_date(path: Path) -> None:
    """If this fails: python -m reference"""
    assert path.read_text() == PAGES[path]


def test_each_block_that_can_be_generated_stands_in_one_page() -> None:
    """New messages, settings and commands must not be missing from the pages."""
    used = sorted(name for path in DOCS.rglob("*.md") for name in names_of(path.read_text()))
    assert used == sorted(generators())


def test_a_page_that_was_edited_by_hand_is_found() -> None:
    block = "<!-- generated: one -->\n\nwritten by hand\n\n<!-- end -->\n"
    page = f"before\n\n{block}\nafter\n"
    assert filled(page, {"one": lambda: "made"}) == page.replace("written by hand", "made")


def test_a_block_that_nothing_generates_is_an_error() -> None:
    with pytest.raises(KeyError, match="unheard"):
        filled("<!-- generated: unheard -->\n<!-- end -->\n", {})
