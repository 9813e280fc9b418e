"""The documentation builds in strict mode, and the built site loads no foreign files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from reference.pages import ROOT
from reference.site_hooks import relinked

ELSEWHERE = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"?(?:https?:)?//|<link\b[^>]*\brel=\"?stylesheet\"?[^>]*//"
)


def built(root: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of `root` strictly.

    A missing page, picture or anchor is an error, and so is a page outside the navigation.
    """
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    done = built(ROOT, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_a_page_needs_no_network(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 15
    assert [str(page) for page in pages if ELSEWHERE.search(page.read_text())] == []


def test_a_foreign_file_is_found() -> None:
    assert ELSEWHERE.search('<script async src="https://cdn.example/x.js">')
    assert ELSEWHERE.search('<link rel="stylesheet" href="https://fonts.example/css">')
    assert not ELSEWHERE.search('<a href="https://zensical.example">')


@pytest.mark.parametrize(
    ("page", "link", "there"),
    [
        ("guides/secure.md", "[a](../../SECURITY.md#tokens)", "[a](../repository/SECURITY.md#tokens)"),
        ("repository/ops/README.md", "[a](../docs/runbook.md)", "[a](../../runbook.md)"),
        ("repository/README.md", '<img src="docs/leak.png" width="3">', '<img src="../leak.png" width="3">'),
        ("protocol.md", "[a](reference/asyncapi.json)", "[a](reference/asyncapi.json)"),
        ("protocol.md", "[a](#limits) [b](https://example.org/x)", "[a](#limits) [b](https://example.org/x)"),
    ],
)
def test_links_to_pages_outside_docs_are_rewritten(page: str, link: str, there: str) -> None:
    assert relinked(link, page) == there


def test_a_broken_link_ends_the_build(tmp_path: Path) -> None:
    """--quiet, for example, would suppress the warnings that a strict build counts."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("[a](nowhere.md)")
    settings = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[0]
    kept = [line for line in settings.splitlines() if not line.startswith(("hooks:", "watch:"))]
    (tmp_path / "mkdocs.yml").write_text("\n".join(kept).partition("\nnot_in_nav:")[0])
    assert built(tmp_path, tmp_path / "site").returncode != 0
