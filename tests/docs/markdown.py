"""Reads the Markdown pages of the repository: links, anchors, code blocks. Headings and code are distinguished."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from reference.pages import ROOT

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE
)
_HEADING = re.compile(r"^#{1,6} (.+?)\s*$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)|\b(?:src|href)=\"([^\"]+)\"")
_ANCHOR = re.compile(r"(?:\b(?:id|name)=\"|\{ #)([\w.-]+)(?:\"| \})")


class Block(NamedTuple):
    """A fenced block of code."""

    language: str
    text: str


def pages() -> list[Path]:
    """Return every Markdown file of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


def prose(text: str) -> str:
    """Return `text` without its fenced blocks."""
    return _FENCE.sub("", text)


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of `text`."""
    return [Block(found["language"], found["text"]) for found in _FENCE.finditer(text)]


def links(text: str) -> Iterator[str]:
    """Yield the target of each link and picture."""
    for found in _LINK.finditer(re.sub(r"`[^`\n]*`", "", prose(text))):
        yield found[1] or found[2]


def anchors(text: str) -> set[str]:
    """Return the anchors of this page."""
    slugs: set[str] = set(_ANCHOR.findall(text))
    for heading in _HEADING.findall(prose(text)):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        slugs.add(slug if slug not in slugs else f"{slug}_1")
    return slugs
