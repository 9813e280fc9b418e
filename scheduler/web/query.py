"""Parameters of a request, with their bounds. What can't be used is a BadInput named bad_<parameter>."""

from __future__ import annotations

import re

from starlette.requests import Request

from scheduler.errors import BadInput

_DIGITS_MAX = 12
SECONDS_MAX = 10**9
_SECONDS = re.compile(
    r"[0-9]{1,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?"
)  # each float as Python or a browser writes it
_WORDS = {"true": True, "1": True, "false": False, "0": False}


def whole_number(request: Request, name: str, least: int, most: int) -> int | None:
    """Return the parameter as a number from `least` to `most`, or None when it isn't there."""
    text = request.query_params.get(name)
    return None if text is None else whole_number_of(text, name, least, most)


def whole_number_of(text: str, name: str, least: int, most: int) -> int:
    """Return `text` as a number from `least` to `most`."""
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX and least <= int(text) <= most):
        raise BadInput(f"bad_{name}", f"{name}={text[:80]!r}: a whole number from {least} to {most}")
    return int(text)


def seconds(request: Request, name: str, most: float) -> float:
    """Return the parameter as seconds, at most `most`; 0 when it isn't there."""
    text = request.query_params.get(name)
    return 0.0 if text is None else min(seconds_of(text, name), most)


def seconds_of(text: str, name: str) -> float:
    """Return `text` as seconds."""
    if not (_SECONDS.fullmatch(text) and float(text) <= SECONDS_MAX):
        raise BadInput(f"bad_{name}", f"{name}={text[:80]!r}: a number of seconds from 0 to {SECONDS_MAX}")
    return float(text)


def truth_of(text: str, name: str) -> bool:
    """Return `text` as yes or no."""
    if text not in _WORDS:
        raise BadInput(f"bad_{name}", f"{name}={text[:80]!r}: true or false")
    return _WORDS[text]
