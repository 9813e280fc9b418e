"""Limits of figures as text: "< 1.5", "<= 200 ms" or "6534 .. 6666"."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from typing import NamedTuple

from voxpool.scheduler.errors import ConfigError

Figure = float | int | str | None
"""A measured figure; None or nan where it could not be measured."""

UNCLEAR_WORD = "unclear"
"""The figure that means too little evidence (stats.Verdict)."""

RANGE = ".."
UNITS: dict[str, float] = {
    "": 1.0, "ms": 1e-3, "s": 1.0, "min": 60.0, "%": 1e-2, "/s": 1.0, "/min": 1 / 60,
    "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30,
}  # fmt: skip
"""Unit -> its size in the unit of measured figures: seconds, a share of 1, per second, bytes."""

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_COMPARISON = re.compile(r"^(==|!=|<=|>=|<|>)\s*(.+)$")
_NUMBER = re.compile(r"^([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([A-Za-z%/]*)$")
_WORDS = {"==": "", "!=": "not ", "<=": "at most ", ">=": "at least ", "<": "below ", ">": "above "}


class Limit(NamedTuple):
    """A parsed limit. `low` and `high` are in `unit`; for a comparison both are its number (or word)."""

    sign: str
    """A comparison operator, or RANGE."""
    low: float | str
    high: float | str
    unit: str = ""
    """As written; "" = none."""

    def keeps(self, figure: Figure) -> bool | None:
        """Return the result of `holds`; a figure with a unit is in seconds, a share, per second or in bytes."""
        if figure is None or figure == UNCLEAR_WORD or (isinstance(figure, float) and math.isnan(figure)):
            return None
        if isinstance(figure, str):
            if self.sign not in ("==", "!="):
                raise ConfigError(f"limit {self.text!r} compares the word {figure!r} by size: use == or !=")
            return (figure == self._wanted) is (self.sign == "==")
        low, high = self.bounds
        if self.sign == RANGE:
            return low <= figure <= high
        return _COMPARE[self.sign](float(figure), low)

    @property
    def bounds(self) -> tuple[float, float]:
        """Return both ends in the unit of measured figures. Raises ConfigError when the limit is a word."""
        if isinstance(self.low, str) or isinstance(self.high, str):
            raise ConfigError(f"limit {self.text!r} is not understood: {self._wanted!r} is not a number")
        return self.low * UNITS[self.unit], self.high * UNITS[self.unit]

    @property
    def text(self) -> str:
        """The limit in normal form, such as "<= 200 ms"."""
        end = f" {self.unit}" if self.unit else ""
        if self.sign == RANGE:
            return f"{_plain(self.low)} {RANGE} {_plain(self.high)}{end}"
        return f"{self.sign} {self._wanted}{end}"

    def in_unit(self, figure: float) -> float:
        """Return a measured figure in the limit's unit."""
        return figure / UNITS[self.unit] if self.unit else figure

    @property
    def _wanted(self) -> str:
        return _plain(self.low)


def holds(figure: Figure, limit: str) -> bool | None:
    """Return whether `figure` is within `limit`; None when the figure is missing, not a number or 'unclear'.

    A limit is a comparison with a number (and a unit of UNITS) or a word ("== no leak"), or a closed range ("1 .. 2").
    Raises ConfigError for any other text.
    """
    return read_limit(limit).keeps(figure)


def read_limit(limit: str) -> Limit:
    """Parse a limit. Raises ConfigError."""
    match = _COMPARISON.match(limit.strip())
    if match is not None:
        sign, wanted = match[1], match[2].strip()
        if _NUMBER.match(wanted) is None and sign in ("==", "!="):
            return Limit(sign, wanted, wanted)
        number, unit = _number(wanted, limit)
        return Limit(sign, number, number, unit)
    low, dots, high = limit.partition(RANGE)
    if not dots:
        raise ConfigError(f"limit {limit!r} is not understood: write '< 1.5', '<= 200 ms', '== 0' or '1 .. 2'")
    (first, first_unit), (last, unit) = _number(low, limit), _number(high, limit)
    if first_unit not in ("", unit):
        raise ConfigError(f"limit {limit!r} is not understood: both ends of a range have one unit")
    return Limit(RANGE, first, last, unit)


def in_words(limit: str) -> str:
    """Return a limit in words: "at most 0 %", "below 200 ms", "1 to 2", "no leak"."""
    match = _COMPARISON.match(limit.strip())
    if match is None:
        return limit.replace(f" {RANGE} ", " to ")
    return f"{_WORDS[match[1]]}{match[2]}"


def _number(text: str, limit: str) -> tuple[float, str]:
    match = _NUMBER.match(text.strip())
    if match is None:
        raise ConfigError(f"limit {limit!r} is not understood: {text.strip()!r} is not a number")
    if match[2] not in UNITS:
        known = ", ".join(unit for unit in UNITS if unit)
        raise ConfigError(f"limit {limit!r} is not understood: {match[2]!r} is no unit, there are {known}")
    return float(match[1]), match[2]


def _plain(number: float | str) -> str:
    return number if isinstance(number, str) else f"{number:.12g}"


def shown(figure: Figure, unit: str = "") -> str:
    """Return `figure` as text: with thousands separators, three significant digits and the unit."""
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
