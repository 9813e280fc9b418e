"""Experiments with a scenario for each defect, run without and with the fix.

A scenario runs in worlds that its stage builds: seed and events are the same on both sides, only the variant differs.
With the fix all checkers run; without it none does, because the defect would break them.
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
    """The sizes of scenarios; each uses the ones that it needs."""

    nodes: int = 20
    jobs: int = 400
    """Number of jobs, requests or rounds."""
    runs: int = 10
    """Runs of scenarios whose figure is a sum over runs."""
    span_s: float = 3600.0
    """Time that a scenario waits for jobs that never end, in virtual seconds."""
    leftovers: int = 20
    """Nodes of a dead scheduler at the start of each run."""

    schedules: int | None = None
    """Maximum number of orders of R1 without the fix; None = all that sleep sets don't skip."""
    seeds: int = 40
    """Swarm runs."""
    busy_s: float = 30.0
    """Time for which all nodes answer busy."""

    @property
    def words(self) -> dict[str, Any]:
        """Values that can be used in names and limits."""
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
    """Builds the worlds of a scenario for one side."""

    def __init__(self, size: Size, seed: int, store: str, side: str, variant: Variant, tell: Tell) -> None:
        self.size = size
        self.seed = seed
        self.side = side
        self.tell = tell
        self.variant = variant
        self.broken: list[str] = []
        """Findings of checkers on the side with the fix."""
        self._store = store if variant.scripts is None else "memory"

    def add_classes(self, **classes: Any) -> None:
        """Use `classes` in the scheduler on both sides: they belong to the scenario, not to the defect."""
        self.variant = replace(self.variant, classes=replace(self.variant.classes, **classes))

    @property
    def has_fix(self) -> bool:
        """True on the side with the fix."""
        return self.side == WITH

    def world(self, *, run: int = 0, counts: type[Checker] | None = None, store: str = "", **options: Any) -> World:
        """Return a new world of this side; the same `run` has the same seed.

        `counts` is a checker that also runs without the fix: the figure of the scenario is how often it is broken.
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
        """End `world`: with the fix all jobs must end, and no checker may be broken."""
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
    """A figure of a scenario as a line of the report; `limit` and `shows` as in Line, with {size} values filled in."""

    figure: str
    name: str
    unit: str
    limit: str
    shows: str

    def line(self, row: str, size: Size, without: Figures, with_: Figures) -> Line:
        """Return the line; a side that wasn't run has no figures."""
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
    """The scenario of a defect. `key` distinguishes several scenarios of one defect.

    `variant` is a key of without.py, by default the defect id; '' = the scenario itself uses an old part.
    """

    row: str
    tell: Callable[[Stage], Figures]
    lines: Sequence[Shown]
    key: str = ""
    variant: str | None = None

    @property
    def name(self) -> str:
        """The name of the part."""
        return f"{self.row}{self.key}"

    def play(self, size: Size, seed: int, store: str, side: str, tell: Tell = lambda _: None) -> Figures:
        """Run one side; the figure `broken` is the number of broken checkers."""
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
    """An experiment that consists of scenarios."""

    name: str
    question: str
    scenarios: Sequence[DefectScenario]
    caption: str
    notes: Sequence[str] = ()
    short: Mapping[str, str] = field(default_factory=dict)
    """Defect id -> label of its bar in the picture."""
    more_pictures: Sequence[Callable[[Mapping[str, Figures]], Picture]] = ()
    """Functions that draw pictures from the figures by "NAME side"."""
    more_notes: Callable[[Mapping[str, Figures]], Sequence[str]] | None = None

    def chosen(self, rows: Sequence[str]) -> list[DefectScenario]:
        """Return the scenarios of the defect ids `rows`."""
        return [scenario for scenario in self.scenarios if scenario.row in rows]

    def measure(self, options: Options, rows: Sequence[str]) -> Report:
        """Play the scenarios of `rows` in the size that `options` ask for, and report them."""
        size = QUICK if options.quick else FULL
        return self.report(options, size, rows, self.run(options, size, rows))

    def run(self, options: Options, size: Size, rows: Sequence[str]) -> dict[str, Figures]:
        """Run the scenarios of `rows`, each side in a separate process; return "NAME side" -> figures."""
        parts = [
            Part(f"{scenario.name} {side}", scenario.play, (size, options.seed, options.store, side))
            for scenario in self.chosen(rows)
            for side in options.sides()
        ]
        return run_parts(parts, options.progress, options.at_once)

    def report(self, options: Options, size: Size, rows: Sequence[str], results: Mapping[str, Figures]) -> Report:
        """Return the report of the scenarios."""
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
            lines.append(Line("", "checkers broken, all scenarios with the fix", "", None, int(broken), "== 0"))
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
        firsts = {line.defect_id: line for line in reversed(lines) if line.defect_id in self.short}
        groups = [
            Bar(f"{row}\n{self.short[row]}", _number(firsts[row].without), _number(firsts[row].with_))
            for row in self.short
            if row in firsts
        ]
        title = f"{self.name}: without and with the fix"
        return bars(f"{self.name}_rows", title, "figure (logarithmic above 1)", groups, self.caption, "symlog")


def _number(figure: Figure) -> float | None:
    """Return `figure` for a bar or a sum; None for an infinite one."""
    return float(figure) if isinstance(figure, int | float) and math.isfinite(figure) else None


__all__ = ["FULL", "QUICK", "VARIANTS", "DefectScenario", "Figures", "RowsExperiment", "Shown", "Size", "Stage"]
