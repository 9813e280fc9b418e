"""The outcome table of a search: each end, the number of its interleavings, and whether it is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from voxpool.sim.explore.search.tally import Tally
from voxpool.sim.report.report import Picture
from voxpool.sim.report.svg import svg_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DRAWN_MAX = 24
LABEL_CHARACTERS = 70


class Outcome(NamedTuple):
    """A row of the table."""

    end: str
    runs: int
    share: float
    is_broken: bool


def outcomes(tally: Tally) -> list[Outcome]:
    """Return the ends of `tally`, the most frequent first."""
    rows = [Outcome(str(end), runs, runs / tally.runs, end in tally.broken_ends) for end, runs in tally.ends.items()]
    return sorted(rows, key=lambda row: (-row.runs, row.end))


def outcome_picture(title: str, tally: Tally) -> Picture:
    """Return the table as bars; ends with a violation are red."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = outcomes(tally)
    drawn = rows[:DRAWN_MAX]
    figure = Figure(figsize=(11, 1.6 + 0.34 * max(1, len(drawn))), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    _draw(figure.add_subplot(), title, drawn)
    left_out = f"; the {len(rows) - len(drawn)} rarest of {len(rows)} are left out" if len(rows) > len(drawn) else ""
    caption = f"{tally.way}: {tally.runs:,} interleavings by how they end, red where a check broke{left_out}"
    return Picture("outcomes", title, caption, svg_of(figure))


def _draw(axes: Axes, title: str, rows: Sequence[Outcome]) -> None:
    places = range(len(rows), 0, -1)
    bars = axes.barh(
        places, [100 * row.share for row in rows], color=["#c0392b" if row.is_broken else "#1f6fb2" for row in rows]
    )
    axes.bar_label(bars, [f"{row.share:.1%}  ({row.runs:,})" for row in rows], padding=3, fontsize=8)
    axes.set_yticks(places, [_short(row.end) for row in rows], fontsize=7)
    axes.set_xlim(0, 1.25 * max((100 * row.share for row in rows), default=1))
    axes.set_xlabel("share of the interleavings, %")
    axes.set_title(title, loc="left", fontsize=12)
    axes.spines[["top", "right"]].set_visible(False)


def _short(text: str) -> str:
    return text if len(text) <= LABEL_CHARACTERS else text[: LABEL_CHARACTERS - 1] + "…"
