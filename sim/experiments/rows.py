"""The form of an experiment that answers defect ids: one scenario for each defect, played without and with the fix.

A scenario plays in worlds that its stage builds: the same seed and the same events on both sides, and only the variant
differs. With the fix every checker watches; without it none does, since what it would find is the point.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from voxpool.sim.checkers import CHECKERS, Checker
from voxpool.sim.experiments.experiment import Options
from voxpool.sim.experiments.processes import Part, Tell, run_parts
from voxpool.sim.experiments.without import VARIANTS, variant_without
from voxpool.sim.report.limits import Figure
from voxpool.sim.report.pictures import Bar, bars
from voxpool.sim.report.report import WITH, WITHOUT, Line, Picture, Report
from voxpool.sim.virtual_time.stopwatch import Stopwatch
from voxpool.sim.world.variant import Variant
from voxpool.sim.world.world import World

Figures = dict[str, Figure]


@dataclass(frozen=True)
class Size:
    """How much a scenario plays; each takes of it what it needs."""

    nodes: int = 20
    jobs: int = 400
    """Jobs, requests or rounds."""
    runs: int = 10
    """Runs of the rows whose figure is a sum over runs."""
    span_s: float = 3600.0
    """How long a scenario waits for what never ends, in virtual seconds."""
    leftovers: int = 20
    """Nodes of a dead scheduler that each of the runs begins with."""

    schedules: int | None = None
    """Orders of R1 that are run without the fix at most; None = all that sleep sets leave."""
    seeds: int = 40
    """Swarm runs."""
    busy_s: float = 30.0
    """How long all nodes answer busy."""

    @property
    def words(self) -> dict[str, Any]:
        """What names and limits may speak of."""
        return {
            **asdict(self),
            "all_leftovers": self.runs * self.leftovers,
            "stuck": 4 * self.nodes,
            "rests": 3 * round(self.busy_s + self.busy_s // 15 + 1),
            "busy_jobs": round(2.6 * self.busy_s),
        }


FULL = Size()
QUICK = Size(nodes=10, jobs=100, runs=1, span_s=1200.0, busy_s=3.0, schedules=400, seeds=4)


class Stage:
    """Where a scenario plays: builds its worlds, and knows its side."""

    def __init__(self, size: Size, seed: int, store: str, side: str, variant: Variant, tell: Tell) -> None:
        self.size = size
        self.seed = seed
        self.side = side
        self.tell = tell
        self.variant = variant
        self.broken: list[str] = []
        """What checkers found, on the side with the fix."""
        self._store = store if variant.scripts is None else "memory"

    def add_classes(self, **classes: Any) -> None:
        """Put `classes` into the scheduler of either side: what the scenario is about, not what the row is about."""
        self.variant = replace(self.variant, classes=replace(self.variant.classes, **classes))

    @property
    def has_fix(self) -> bool:
        """True when this is the side with the fix."""
        return self.side == WITH

    def world(self, *, run: int = 0, counts: type[Checker] | None = None, store: str = "", **options: Any) -> World:
        """Return a new world of this side; of the same seed for the same `run`.

        `counts` is a checker that is there without the fix, too: how often it is broken is the row's figure.
        """
        return World(
            seed=self.seed + 1000 * run,
            store=store or self._store,
            variant=self.variant,
            checkers=CHECKERS if self.has_fix else () if counts is None else (counts,),
            is_traced=False,
            **options,
        )

    def end(self, world: World) -> None:
        """End `world`: with the fix everything must come to rest, and every checker must be content."""
        if self.has_fix:
            self.broken += world.finish()
        else:
            world.stop()

    @staticmethod
    def broken_in(world: World, checker: type[Checker]) -> int:
        """Return how often `checker` was broken in `world`."""
        return sum(found.broken for found in world.checkers if isinstance(found, checker))


@dataclass(frozen=True)
class Shown:
    """A figure of a scenario as a line of the report; `limit` and `shows` as of Line, {size} in them filled in."""

    figure: str
    name: str
    unit: str
    limit: str
    shows: str

    def line(self, row: str, size: Size, without: Figures, with_: Figures) -> Line:
        """Return the line; a side that wasn't played has no figures."""
        words = size.words
        return Line(
            row,
            self.name.format(**words),
            self.unit,
            without.get(self.figure),
            with_.get(self.figure),
            self.limit.format(**words),
            self.shows.format(**words),
        )


@dataclass(frozen=True)
class DefectScenario:
    """What is played for a row. `key` tells the scenarios of one row apart.

    `variant` is a key of before/rows.py, by default the row; '' = the scenario itself puts an old part at an end.
    """

    row: str
    tell: Callable[[Stage], Figures]
    lines: Sequence[Shown]
    key: str = ""
    variant: str | None = None

    @property
    def name(self) -> str:
        """What it is called among the parts."""
        return f"{self.row}{self.key}"

    def play(self, size: Size, seed: int, store: str, side: str, tell: Tell = lambda _: None) -> Figures:
        """Play one side; `broken` among the figures is how many checkers found something."""
        watch = Stopwatch()
        variant = Variant() if side == WITH else variant_without(self.row if self.variant is None else self.variant)
        stage = Stage(size, seed, store, side, variant, tell)
        figures = self.tell(stage)
        figures["wall_s"] = watch.seconds()
        if stage.has_fix:
            figures["broken"] = len(stage.broken)
            figures["found"] = "; ".join(stage.broken)
        return figures


@dataclass(frozen=True)
class RowsExperiment:
    """An experiment made of scenarios."""

    name: str
    question: str
    scenarios: Sequence[DefectScenario]
    caption: str
    notes: Sequence[str] = ()
    short: Mapping[str, str] = field(default_factory=dict)
    """Row -> what its bar in the picture shows."""
    more_pictures: Sequence[Callable[[Mapping[str, Figures]], Picture]] = ()
    """Drawn from the figures of the scenarios, by "NAME side"."""
    more_notes: Callable[[Mapping[str, Figures]], Sequence[str]] | None = None

    def chosen(self, rows: Sequence[str]) -> list[DefectScenario]:
        """Return the scenarios of `rows`."""
        return [scenario for scenario in self.scenarios if scenario.row in rows]

    def run(self, options: Options, size: Size, rows: Sequence[str]) -> dict[str, Figures]:
        """Play the scenarios of `rows`, each side in a process of its own; return "NAME side" -> figures."""
        parts = [
            Part(f"{scenario.name} {side}", scenario.play, (size, options.seed, options.store, side))
            for scenario in self.chosen(rows)
            for side in options.sides()
        ]
        return run_parts(parts, options.progress, options.at_once)

    def report(self, options: Options, size: Size, rows: Sequence[str], results: Mapping[str, Figures]) -> Report:
        """Put the figures of the scenarios together."""
        lines: list[Line] = []
        notes = list(self.notes)
        for scenario in self.chosen(rows):
            without, with_ = (results.get(f"{scenario.name} {side}", {}) for side in (WITHOUT, WITH))
            lines += [shown.line(scenario.row, size, without, with_) for shown in scenario.lines]
            if with_.get("found"):
                notes.append(f"Checkers, {scenario.name} with: {with_['found']}")
        if self.more_notes is not None:
            notes += self.more_notes(results)
        if options.variant != WITHOUT:
            broken = sum(_number(figures.get("broken")) or 0 for figures in results.values())
            lines.append(Line("", "checkers broken, all rows with the fix", "", None, int(broken), "== 0"))
        return Report(
            experiment=self.name,
            question=self.question,
            seed=options.seed,
            options=options.shown(**asdict(size)),
            lines=lines,
            variants={side: {"rows": self._figures_of(side, results)} for side in options.sides()},
            variant=options.variant,
            notes=notes,
            pictures=[partial(self._picture, lines), *(partial(draw, results) for draw in self.more_pictures)],
        )

    def _figures_of(self, side: str, results: Mapping[str, Figures]) -> dict[str, Figures]:
        names = (scenario.name for scenario in self.scenarios if f"{scenario.name} {side}" in results)
        return {name: dict(results[f"{name} {side}"]) for name in names}

    def _picture(self, lines: Sequence[Line]) -> Picture:
        firsts = {line.row: line for line in reversed(lines) if line.row in self.short}
        groups = [
            Bar(f"{row}\n{self.short[row]}", _number(firsts[row].without), _number(firsts[row].with_))
            for row in self.short
            if row in firsts
        ]
        title = f"{self.name}: without and with the fix"
        return bars(
            f"{self.name}_rows", title, "the row's figure (logarithmic above 1)", groups, self.caption, "symlog"
        )


def _number(figure: Figure) -> float | None:
    """Return `figure` for a bar or a sum; what goes on for ever has none."""
    return float(figure) if isinstance(figure, int | float) and math.isfinite(figure) else None


__all__ = ["FULL", "QUICK", "VARIANTS", "DefectScenario", "Figures", "RowsExperiment", "Shown", "Size", "Stage"]
