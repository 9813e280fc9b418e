"""Generated blocks in pages that are otherwise written by hand.

A block stands between `<!-- generated: NAME -->` and `<!-- end -->`, each on a line of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

Generator = Callable[[], str]

_BLOCK = re.compile(r"<!-- generated: (?P<name>[^\n]+?) -->\n(?P<text>.*?)<!-- end -->\n", re.DOTALL)


def names_of(page: str) -> list[str]:
    """Return the names of the blocks in `page`, in their order."""
    return [found["name"] for found in _BLOCK.finditer(page)]


def filled(page: str, generators: Mapping[str, Generator]) -> str:
    """Return `page` with every block generated anew. Raises KeyError for a name that has no generator."""

    def block(found: re.Match[str]) -> str:
        text = generators[found["name"]]().strip()
        return f"<!-- generated: {found['name']} -->\n\n{text}\n\n<!-- end -->\n"

    return _BLOCK.sub(block, page)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table; a pipe or a line end in a cell does not break it."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
