"""The statements of a shell block: each is one command line that a reader pastes, its comment left out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

_COMMENT = re.compile(r"(?:^|\s+)#\s")


def statements(text: str) -> Iterator[str]:
    """Yield each statement of `text`. A statement continues on the next line after a backslash and within quotes."""
    taken = ""
    for line in text.splitlines():
        taken = _without_comment(taken + line, len(taken))
        if taken.endswith("\\"):
            taken = taken[:-1]
        elif _is_open(taken):
            taken += "\n"
        else:
            if taken.strip():
                yield re.sub(r" {2,}", " ", taken.strip())
            taken = ""
    if taken:
        yield taken  # bash reports the error


def _without_comment(text: str, begin: int) -> str:
    """Return `text` without the comment that starts after `begin`; a quoted # starts none."""
    for found in _COMMENT.finditer(text, begin):
        if not _is_open(text[: found.start()]):
            return text[: found.start()]
    return text


def _is_open(text: str) -> bool:
    """Return whether a quotation is open after `text`."""
    try:
        shlex.split(text)
    except ValueError:
        return True
    return False
