"""Adds files of the repository outside docs/ to the site, as pages below repository/.

In the repository a page links to `../SECURITY.md`, which works in every viewer of files. MkDocs reads docs/ only, so
its pages get a link to `repository/SECURITY.md` instead.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
OUTSIDE = "repository/"
PAGES = (
    *("CHANGELOG.md", "CONTRIBUTING.md", "DESIGN.md", "README.md", "SECURITY.md"),
    *("lua/README.md", "notebooks/README.md", "ops/README.md"),
)
"""Pages outside docs/ that the site includes; those that are not in the navigation are reached by links."""
_LINK = re.compile(r"(\]\(|\b(?:src|href)=\")([^)\s\"#:]+)(?=[)\"#\s])")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside docs/."""
    for path in PAGES:
        files.append(File.generated(config, OUTSIDE + path, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite links that cross the border of docs/ to the places of their targets in the site."""
    return relinked(markdown, page.file.src_uri)


def relinked(markdown: str, page: str) -> str:
    """Return the text of `page`, a path in the site, with its links as paths in the site."""
    here = posixpath.dirname(page)

    def link(found: re.Match[str]) -> str:
        target = _in_site(posixpath.normpath(posixpath.join(posixpath.dirname(_in_repository(page)), found[2])))
        return found[1] + posixpath.relpath(target, here or ".")

    return _LINK.sub(link, markdown)


def _in_repository(path: str) -> str:
    """Return the path of a file of the site in the repository."""
    return path.removeprefix(OUTSIDE) if path.startswith(OUTSIDE) else f"docs/{path}"


def _in_site(path: str) -> str:
    """Return the path of a file of the repository in the site."""
    return path.removeprefix("docs/") if path.startswith("docs/") else OUTSIDE + path
