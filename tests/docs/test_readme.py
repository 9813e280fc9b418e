"""README.md is one page: what a newcomer needs, and links to the rest."""

from __future__ import annotations

from reference.pages import ROOT
from tests.docs.markdown import links

README = (ROOT / "README.md").read_text()
LINES_MAX = 150


def test_it_is_one_page() -> None:
    assert README.count("\n") < LINES_MAX


def test_it_leads_to_every_page_of_the_documentation_that_is_written_for_readers() -> None:
    pages = {
        str(path.relative_to(ROOT))
        for folder in ("docs", "docs/guides", "docs/reference")
        for path in ROOT.glob(f"{folder}/*.md")
    }
    reached_from_others = {"docs/index.md", "docs/memory-watch.md"}
    assert pages - reached_from_others <= set(links(README))
