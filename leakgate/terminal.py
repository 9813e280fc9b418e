"""Output to a terminal, in which control characters of foreign text are shown escaped.

The error text of a worker, a name in a file or the answer of a server may contain escape sequences that clear the
screen, change the title or type a command. All commands print by `say`.
"""

from __future__ import annotations

import logging
import re

import click

_CONTROL = "\x00-\x1f\x7f-\x9f"
_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""Characters that change the direction of text, so that a line appears as another one."""
_BREAKS = "\u2028\u2029"
_HALVES = "\ud800-\udfff"
"""Bytes of file names that are not UTF-8, which can't be encoded."""
_UNSAFE = re.compile(f"[{_CONTROL}{_BIDI}{_BREAKS}{_HALVES}]")
_UNSAFE_IN_LINES = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_BIDI}{_BREAKS}{_HALVES}]")


def visible(text: str) -> str:
    """Return `text` on one line, with each control character as \\uXXXX; it stays valid in JSON."""
    return _UNSAFE.sub(_escaped, text)


def in_markup(text: str) -> str:
    """Return `text` for rich markup, with control characters and brackets escaped."""
    from rich.markup import escape

    return escape(visible(text))


def say(text: object, err: bool = False, nl: bool = True) -> None:
    """Write `text` to standard output or standard error; line breaks and tabs are kept."""
    click.echo(visible_lines(str(text)), err=err, nl=nl)


def visible_lines(text: str) -> str:
    """Return `text` as `visible` does, but keep line breaks and tabs."""
    return _UNSAFE_IN_LINES.sub(_escaped, text)


class VisibleMessages(logging.Filter):
    """Escapes the messages of a logging handler, which may contain foreign text, in the same way."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; it is always logged."""
        record.msg, record.args = visible_lines(record.getMessage()), None
        return True


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
