"""Pictures for reports, drawn by matplotlib without a display.

A picture shows both variants and the prediction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from voxpool.sim.report.report import WITH, WITHOUT, Picture
from voxpool.sim.report.svg import INK, svg_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogFormatter

COLOURS = {WITHOUT: "#c0392b", WITH: "#1f6fb2"}
_PREDICTED, _RULE = "#4a4a4a", "#d9dee5"
_DASHES = {"line": "-", "dotted": ":", "predicted": "--", "points": ""}
Scale = Literal["linear", "log", "symlog"]
Style = Literal["line", "dotted", "predicted", "points"]


@dataclass(frozen=True, slots=True)
class Curve:
    """One curve of a picture. `variant` sets its colour, unless `colour` is given; a prediction or limit is dashed, a
    second quantity dotted; points are not connected.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    variant: str = ""
    style: Style = "line"
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """One group of bars: without and with."""

    label: str
    without: float | None
    with_: float | None


def curves(
    name: str, title: str, x_label: str, y_label: str, lines: Iterable[Curve], caption: str, y_scale: Scale = "linear",
    x_scale: Scale = "linear", markers: bool = False,
) -> Picture:  # fmt: skip
    """Return a picture of curves over one axis."""
    figure, axes = canvas(title)
    for line in lines:
        axes.plot(
            line.x, line.y, label=line.label, color=line.colour or COLOURS.get(line.variant, _PREDICTED),
            linestyle=_DASHES[line.style], linewidth=1.3 if line.style == "predicted" else 1.8,
            marker="o" if line.style == "points" or (markers and line.style != "predicted") else "", markersize=5,
            zorder=3 if line.style == "predicted" else 2,
        )  # fmt: skip
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_xscale(x_scale)
    axes.xaxis.set_major_formatter(_plain_numbers())
    _set_y_scale(axes, y_scale)
    _legend(figure)
    return Picture(name, title, caption, svg_of(figure))


def bars(
    name: str, title: str, y_label: str, groups: Sequence[Bar], caption: str, y_scale: Scale = "linear"
) -> Picture:
    """Return a picture of pairs of bars, each with its figure written above it."""
    from voxpool.sim.report.limits import shown

    figure, axes = canvas(title)
    width = 0.36
    for side, shift, values in (
        (WITHOUT, -width / 2, [group.without for group in groups]),
        (WITH, width / 2, [group.with_ for group in groups]),
    ):
        if all(value is None for value in values):
            continue
        drawn = axes.bar(
            [i + shift for i in range(len(groups))], [value or 0 for value in values], width, label=side,
            color=COLOURS[side],
        )  # fmt: skip
        axes.bar_label(drawn, [shown(value) for value in values], padding=2, fontsize=9)
    axes.set_xticks(range(len(groups)), [group.label for group in groups])
    axes.set_ylabel(y_label)
    _set_y_scale(axes, y_scale)
    if y_scale != "linear":
        axes.set_ylim(top=3 * axes.get_ylim()[1])
    _legend(figure)
    return Picture(name, title, caption, svg_of(figure))


def canvas(title: str) -> tuple[Figure, Axes]:
    """Return an empty figure in the common style."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=12, color=INK, pad=12)
    axes.grid(axis="y", color=_RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _legend(figure: Figure) -> None:
    """Put the legend below the axes, where it hides nothing; a single curve without a name has none."""
    if any(axes.get_legend_handles_labels()[1] for axes in figure.axes):
        figure.legend(frameon=False, loc="outside lower center", ncols=3)


def _set_y_scale(axes: Axes, scale: Scale) -> None:
    if scale == "symlog":
        axes.set_yscale("symlog", linthresh=1.0)
        axes.set_ylim(bottom=0)
    else:
        axes.set_yscale(scale)
        if scale == "linear":
            axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(_plain_numbers())
    if scale == "log":
        axes.yaxis.set_minor_formatter(_between_decades())


def _between_decades() -> LogFormatter:
    """Return the formatter of minor ticks for an axis with few powers of ten: 40, not 4 x 10^1."""
    from matplotlib.ticker import LogFormatter

    return LogFormatter(minor_thresholds=(1, 0.4))


def _plain_numbers() -> FuncFormatter:
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda value, _: f"{value:,.10g}")
