"""README.md is one page with the essentials for a newcomer and links to the rest."""

from __future__ import annotations

from reference.pages import ROOT
from tests.docs.markdown import links

README = (ROOT / "README.md").read_text()
LINES_MAX = 150


def test_the_readme_is_one_page() -> None:
    assert README.count("\n") < LINES_MAX


def test_the_readme_links_to_the_first_pages() -> None:
    """The other pages are in the navigation of the site, which a strict build checks."""
    needed = ("start", "install", "concepts", "architecture", "protocol", "findings", "guides/run", "guides/worker")
    assert {f"docs/{name}.md" for name in needed} <= set(links(README))
