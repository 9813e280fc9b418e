"""Limits as text, "< 1.5" or "6534 .. 6666": what a figure has to be, readable by people and by programs."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable

from scheduler.errors import ConfigError

Figure = float | int | str | None
"""A measured figure; None or nan where it could not be measured."""

UNCLEAR_WORD = "unclear"
"""A figure in words that says that the evidence is too thin (stats.Verdict)."""

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_COMPARISON = re.compile(r"^(==|!=|<=|>=|<|>)\s*(.+)$")


def holds(figure: Figure, limit: str) -> bool | None:
    """Return whether `figure` keeps to `limit`; None when the figure is missing, not a number or 'unclear'.

    A limit is a comparison with a number or a word ("== no leak") or a closed range ("1 .. 2"). Raises ConfigError
    for any other text.
    """
    if figure is None or figure == UNCLEAR_WORD or (isinstance(figure, float) and math.isnan(figure)):
        return None
    match = _COMPARISON.match(limit.strip())
    if match is not None:
        sign, wanted = match[1], match[2].strip()
        if isinstance(figure, str):
            if sign not in ("==", "!="):
                raise ConfigError(f"limit {limit!r} compares the word {figure!r} by size: use == or !=")
            return (figure == wanted) is (sign == "==")
        return _COMPARE[sign](float(figure), _number(wanted, limit))
    low, dots, high = limit.partition("..")
    if not dots or isinstance(figure, str):
        raise ConfigError(f"limit {limit!r} is not understood: write '< 1.5', '== 0' or '1 .. 2'")
    return _number(low, limit) <= figure <= _number(high, limit)


def _number(text: str, limit: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(f"limit {limit!r} is not understood: {text.strip()!r} is not a number") from error


def shown(figure: Figure, unit: str = "") -> str:
    """Return `figure` for people: thousands set apart, three significant digits behind the point, its unit."""
    if figure is None:
        return "-"
    if isinstance(figure, str):
        text = figure
    elif math.isnan(figure):
        return "not measured"
    elif math.isinf(figure):
        return "for ever" if unit == "s" else str(figure)
    elif isinstance(figure, int) or (abs(figure) >= 100 and figure == int(figure)):
        text = f"{int(figure):,}"
    elif abs(figure) >= 1000:
        text = f"{figure:,.1f}"
    else:
        text = f"{figure:.3g}" if abs(figure) < 100 else f"{figure:.1f}"
    return f"{text} {unit}".rstrip() if unit and not isinstance(figure, str) else text
