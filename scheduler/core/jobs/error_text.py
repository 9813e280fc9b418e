"""Texts that say why an attempt failed: they come from a worker's own code and reach its clients.

Both ends use it. The worker makes the text; the scheduler bounds and cleans it again, since a node may send anything.
"""

from __future__ import annotations

import traceback

CHARACTERS_MAX = 500
"""Characters of an error text; a longer one ends with an ellipsis."""
TRACEBACK_CHARACTERS_MAX = 1500
"""Characters of a traceback in the worker's log. Its end is kept: the line that raised stands there."""
TRACEBACK_LINE_MAX = 200
"""Characters of one of its lines, among them the message of the error."""


def cleaned(text: str, characters_max: int = CHARACTERS_MAX) -> str:
    """Return `text` on one line of at most `characters_max` characters, without any that act on a terminal.

    Control and format characters, line ends, lone surrogates and unassigned code points become spaces.
    """
    shown = text[: 2 * characters_max]
    line = " ".join(_printable(shown).split())
    is_cut = len(text) > len(shown) or len(line) > characters_max
    return line[: characters_max - 1] + "…" if is_cut else line


def error_text(error: BaseException) -> str:
    """Return type and message of `error`, as in `ValueError: no such speaker`, cleaned."""
    try:
        message = str(error)
    except Exception:  # the class is the user's, and so is its __str__
        message = "its text can't be shown"
    name = type(error).__name__
    return cleaned(f"{name}: {message}" if message else name)


def traceback_text(error: BaseException) -> str:
    """Return the traceback of `error` for the worker's own log: its last TRACEBACK_CHARACTERS_MAX characters."""
    try:
        lines = "".join(traceback.format_exception(error)).splitlines()
    except Exception:
        lines = [error_text(error)]
    return "\n".join(_printable(line[:TRACEBACK_LINE_MAX]) for line in lines)[-TRACEBACK_CHARACTERS_MAX:]


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
