"""Parameters of the query, with their bounds. What can't be used is a BadInput named bad_<parameter>."""

from __future__ import annotations

import math

from starlette.requests import Request

from scheduler.errors import BadInput

_DIGITS_MAX = 12


def whole_number(request: Request, name: str, least: int, most: int) -> int | None:
    """Return the parameter as a number from `least` to `most`, or None when it isn't there."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX and least <= int(text) <= most):
        raise BadInput(f"bad_{name}", f"{name}={text[:80]!r}: a whole number from {least} to {most}")
    return int(text)


def seconds(request: Request, name: str, most: float) -> float:
    """Return the parameter as seconds, at most `most`; 0 when it isn't there."""
    text = request.query_params.get(name)
    if text is None:
        return 0.0
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not value >= 0:
        raise BadInput(f"bad_{name}", f"{name}={text[:80]!r}: a number of seconds, 0 or more")
    return min(value, most)
