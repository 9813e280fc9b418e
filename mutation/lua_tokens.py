"""Splits Lua into tokens, as far as the scripts of lua/ need it: no long strings, no block comments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
    (?P<comment>--[^\n]*)
    | (?P<string>'(?:\\.|[^'\\\n])*')
    | (?P<number>\d+(?:\.\d+)?)
    | (?P<word>[A-Za-z_]\w*)
    | (?P<operator>\.\.\.|\.\.|[=~<>]=|[-+*/%^\#<>=(){}\[\];:,.])
    | (?P<space>\s+)
    """,
    re.VERBOSE,
)


class Token(NamedTuple):
    """A piece of the text from `start` to `end`. Kinds: string, number, word, operator."""

    kind: str
    text: str
    start: int
    end: int


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of `text` without comments and space. Raises ValueError at an unknown token."""
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"not a token of Lua: {text[at : at + 20]!r}")
        kind = match.lastgroup or ""
        if kind not in ("comment", "space"):
            yield Token(kind, match.group(), match.start(), match.end())
        at = match.end()
