"""Line charts as SVG text, for a live page and for self-contained reports.

Pure and fast (about a millisecond), without matplotlib, whose import takes a second and would stall the load. All text
is escaped; colours are classes, set by `assets/charts.css` for light and dark. No script, no inline style.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Literal

WIDTH, HEIGHT = 720, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 12, 40
POINTS_MAX = 600
"""Maximum number of drawn points of a line, including the first and the last; more are thinner than a pixel."""
CSS_FILE = Path(__file__).parent / "assets" / "charts.css"
Number = float | int
Role = Literal["first", "second", "third", "fourth", "limit"]


@dataclass(frozen=True, slots=True)
class Curve:
    """One line. A None in `y` makes a gap. `role` sets colour and dash: first to fourth, or limit (dashed grey); dots
    are not connected.
    """

    label: str
    x: Sequence[Number]
    y: Sequence[Number | None]
    role: Role = "first"
    dots: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with title and caption. `svg` is empty when there is nothing to draw."""

    name: str
    title: str
    caption: str
    svg: str = field(repr=False)


def draw(title: str, x_label: str, y_unit: str, curves: Sequence[Curve], y_from_zero: bool = True) -> str:
    """Return the SVG; "" when no curve has a point. `y_unit` is "bytes" (shown as kB, MB, GB) or any other word."""
    drawn = [(curve, _points(curve)) for curve in curves]
    drawn = [(curve, points) for curve, points in drawn if points]
    if not drawn:
        return ""
    xs = [x for _, points in drawn for x, y in points if y is not None]
    ys = [y for _, points in drawn for _, y in points if y is not None]
    if not ys:
        return ""
    x_ticks = ticks(min(xs), max(xs), 7)
    y_ticks = ticks(min(0.0, *ys) if y_from_zero else min(ys), max(ys), 5)
    x_at = _scale(min(x_ticks[0], min(xs)), max(x_ticks[-1], max(xs)), _LEFT, WIDTH - _RIGHT)
    y_at = _scale(y_ticks[0], y_ticks[-1], HEIGHT - _BOTTOM, _TOP)
    text_of = bytes_text if y_unit == "bytes" else number_text
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" '
        f'xmlns="http://www.w3.org/2000/svg">'
    ]
    for tick in y_ticks:
        at = f"{y_at(tick):.1f}"
        parts.append(f'<line class="rule" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text class="y" x="{_LEFT - 8}" y="{at}" dy="0.32em">{escape(text_of(tick))}</text>')
    for tick in x_ticks:
        parts.append(
            f'<text class="x" x="{x_at(tick):.1f}" y="{HEIGHT - _BOTTOM + 16}">{escape(number_text(tick))}</text>'
        )
    parts.append(f'<text class="x" x="{(WIDTH + _LEFT) / 2:.0f}" y="{HEIGHT - 4}">{escape(x_label)}</text>')
    parts += [_line(curve, points, x_at, y_at, text_of) for curve, points in drawn]
    return "".join(parts) + "</svg>" + _legend([curve for curve, _ in drawn])


def ticks(low: float, high: float, most: int) -> list[float]:
    """Return round numbers around `low` to `high`, at least two and about `most`."""
    if high <= low:
        high = low + (abs(low) or 1.0)
    raw = (high - low) / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def bytes_text(size: float) -> str:
    """Return `size` as text: 1.5 MB (of a million bytes)."""
    for unit, times in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(size) >= times:
            return f"{size / times:.4g} {unit}"
    return f"{size:.4g} B"


def number_text(number: float) -> str:
    """Return `number` with thousands separators, without unnecessary digits."""
    return f"{number:,.0f}" if abs(number) >= 1000 or number == int(number) else f"{number:.4g}"


def _points(curve: Curve) -> list[tuple[float, float | None]]:
    pairs = [
        (float(x), float(y) if y is not None and math.isfinite(y) else None)
        for x, y in zip(curve.x, curve.y, strict=True)
        if math.isfinite(x)
    ]
    if len(pairs) <= POINTS_MAX:
        return pairs
    step = (len(pairs) - 1) / (POINTS_MAX - 1)
    return [pairs[round(i * step)] for i in range(POINTS_MAX)]


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def _line(
    curve: Curve, points: Sequence[tuple[float, float | None]], x_at: Callable[[float], float],
    y_at: Callable[[float], float], text_of: Callable[[float], str],
) -> str:  # fmt: skip
    last = next((y for _, y in reversed(points) if y is not None), 0.0)
    name = f"<title>{escape(curve.label)}: {escape(text_of(last))} at the end</title>"
    known = [(x, y) for x, y in points if y is not None]
    if curve.dots or len(known) == 1:
        marks = "".join(f'<circle cx="{x_at(x):.1f}" cy="{y_at(y):.1f}" r="2.5"/>' for x, y in known)
        return f'<g class="{curve.role} dots">{name}{marks}</g>'
    path, is_down = [], False
    for x, y in points:
        if y is None:
            is_down = False
            continue
        path.append(f"{'L' if is_down else 'M'}{x_at(x):.1f} {y_at(y):.1f}")
        is_down = True
    return f'<path class="{curve.role}" d="{"".join(path)}">{name}</path>'


def _legend(curves: Sequence[Curve]) -> str:
    items = "".join(f'<li class="{curve.role}">{escape(curve.label)}</li>' for curve in curves)
    return f'<ul class="legend">{items}</ul>'
