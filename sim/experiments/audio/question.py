"""When is the audio of a job released? (the brief, "audio leak")

Two designs are wrong: audio kept until the sweep fills memory while the job is retained; audio freed at dispatch is
missing when the node is lost. Production frees it when the job ends. Nodes crash often in these runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from voxpool.scheduler.core.composition import CoreClasses
from voxpool.scheduler.core.jobs.job import Job
from voxpool.sim.chance.distributions import Exponential
from voxpool.sim.experiments.audio.without.audio_kept import FreedAtDispatch, KeptUntilSweep
from voxpool.sim.experiments.experiment import Experiment, Options
from voxpool.sim.experiments.leak.residents import production_checkers
from voxpool.sim.experiments.processes import Part, Tell, run_parts
from voxpool.sim.observing.figures import run_figures
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.report.limits import Figure
from voxpool.sim.report.pictures import Curve, curves
from voxpool.sim.report.report import WITH, WITHOUT, Line, Picture, Report
from voxpool.sim.scenario.evidence import missing_evidence
from voxpool.sim.scenario.scenario import Fault, Nodes, Scenario, Traffic
from voxpool.sim.virtual_time.stopwatch import Stopwatch
from voxpool.sim.world.run import set_up
from voxpool.sim.world.variant import Variant
from voxpool.sim.world.world import World

QUESTION = "When must a job's audio be released, so that it neither fills memory nor is missing at a redispatch?"
ROWS = {"M3": "audio kept until the sweep, or freed at dispatch"}
FREED = "without, freed at dispatch"
"""The side of the second wrong design; the first is `without`."""
LOOKS_A_SWEEP = 12


@dataclass(frozen=True)
class Size:
    """The size of the measurement."""

    duration_s: float = 7200.0
    rate_per_s: float = 8.0
    nodes: int = 40
    work_s: float = 2.0
    audio_bytes: int = 32_000
    crashes_per_node_h: float = 12.0
    retention_s: float = 300.0
    interval_s: float = 60.0

    @property
    def kept(self) -> float:
        """Bytes of retained audio just before a sweep, by Little's law."""
        return self.rate_per_s * (self.retention_s + self.interval_s) * self.audio_bytes

    @property
    def limit(self) -> float:
        """Limit of the bytes of unfinished jobs, with a margin for the bursts after crashes."""
        return 10 * self.rate_per_s * self.work_s * self.audio_bytes


FULL = Size()
QUICK = Size(duration_s=1500.0)


@dataclass(frozen=True, slots=True)
class SideRun:
    """One run: redispatches with and without audio, and the bytes of audio over time."""

    run: dict[str, Any]
    broken: list[str]
    redispatches: int
    without_audio: int
    times_s: list[float] = field(default_factory=list)
    bytes: list[int] = field(default_factory=list)
    """Counted from the jobs, independent of the table's counter."""

    @property
    def share(self) -> float:
        """The share of redispatches without audio, in percent; nan when there was no redispatch."""
        return 100.0 * self.without_audio / self.redispatches if self.redispatches else math.nan


class _Listener(Watcher):
    """Records all jobs of the scheduler, and whether redispatched ones still had audio."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.redispatches = self.without_audio = 0

    def job_submitted(self, job: Job) -> None:
        self.jobs[job.job_id] = job

    def job_removed(self, job: Job) -> None:
        del self.jobs[job.job_id]

    def job_redispatched(self, job: Job, node_id: str, attempt: int, reason: str) -> None:
        self.redispatches += 1
        self.without_audio += job.audio is None

    def audio_bytes(self) -> int:
        """Return the bytes of audio of all current jobs."""
        return sum(len(job.audio) for job in self.jobs.values() if job.audio is not None)


def variant(side: str) -> Variant:
    """Return the variant of a side."""
    classes = {
        WITH: CoreClasses(),
        WITHOUT: CoreClasses(job_table=KeptUntilSweep),
        FREED: CoreClasses(dispatcher=FreedAtDispatch),
    }
    return Variant(side, classes[side])


def run_side(size: Size, seed: int, store: str, side: str, tell: Tell) -> SideRun:
    """Run one side."""
    watch = Stopwatch()
    scenario = Scenario(
        name="audio",
        duration_s=size.duration_s,
        settings={"retention_s": size.retention_s, "cleanup_interval_s": size.interval_s},
        nodes=[Nodes(count=size.nodes, pairs=["zh:en"])],
        traffic=[
            Traffic(
                pair="zh:en",
                rate_per_s=size.rate_per_s,
                work_s=Exponential(size.work_s),
                audio_bytes=float(size.audio_bytes),
            )
        ],
        faults=[Fault("node_crash", size.crashes_per_node_h, lasts_s=(5.0, 30.0))],
    )
    chosen = variant(side)
    checkers = production_checkers(chosen)
    world = World(seed=seed, settings=scenario.settings, store=store, variant=chosen, checkers=checkers)
    seen = _Listener()
    world.hub.add([seen])
    set_up(world, scenario)
    times_s: list[float] = []
    counted: list[int] = []

    def look() -> None:
        times_s.append(world.env.now)
        counted.append(seen.audio_bytes())

    step_s = size.interval_s / LOOKS_A_SWEEP
    for number in range(1, int(size.duration_s / step_s)):
        world.run_to((number - 0.02) * step_s)
        look()
        tell(world.env.now / size.duration_s)
    world.run_to(size.duration_s)
    busy_s = sum(node.busy_s for node in world.nodes)
    world.drain()
    for _ in range(int((size.retention_s + size.interval_s) / step_s) + 1):
        world.run(for_s=step_s)
        look()
    world.come_to_rest()
    broken = world.broken_checkers()
    run = run_figures(world, traffic_s=size.duration_s, busy_s=busy_s, wall_s=watch.seconds())
    world.stop()
    return SideRun(run, broken, seen.redispatches, seen.without_audio, times_s, counted)


def measure(options: Options, _rows: list[str]) -> Report:
    """Run the experiment, each side in a separate process."""
    size = QUICK if options.quick else FULL
    sides = [side for side in (WITHOUT, FREED, WITH) if side.split(",")[0] in options.sides()]
    side_runs: dict[str, SideRun] = run_parts(
        [Part(side, run_side, (size, options.seed, options.store, side)) for side in sides],
        options.progress,
        options.at_once,
    )
    return report_of(options, size, side_runs)


def report_of(options: Options, size: Size, side_runs: Mapping[str, SideRun]) -> Report:
    """Return the report of the sides."""
    runs: dict[str, dict[str, Any]] = {side: dict(side_runs[side].run) for side in options.sides()}
    if FREED in side_runs:
        runs[WITHOUT]["freed_at_dispatch"] = side_runs[FREED].run
    return Report(
        experiment="audio",
        question=QUESTION,
        seed=options.seed,
        options=options.shown(
            duration_s=size.duration_s,
            rate_per_s=size.rate_per_s,
            nodes=size.nodes,
            audio_bytes=size.audio_bytes,
            crashes_per_node_h=size.crashes_per_node_h,
        ),
        lines=_lines(size, side_runs),
        variants=runs,
        variant=options.variant,
        unproven=missing_evidence(side_runs[WITH].run) if WITH in side_runs else (),
        notes=[
            f"Audio kept until the sweep: predicted {size.kept / 1e6:,.1f} MB just before one = rate x (retention + "
            "interval) x bytes a job.",
            "Bytes are counted from the jobs in the table; each job has a separate copy of its audio.",
            *(f"Checker, {side}: {line}" for side, found in side_runs.items() for line in found.broken),
        ],
        pictures=[partial(_picture, size, side_runs)],
    )


def _lines(size: Size, side_runs: Mapping[str, SideRun]) -> list[Line]:
    def of(side: str, figure: str) -> Figure:
        return _FIGURES[figure](side_runs[side]) if side in side_runs else None

    limit_mb = f"<= {size.limit / 1e6:.4g}"
    kept_mb = f"{0.8 * size.kept / 1e6:.4g} .. {1.2 * size.kept / 1e6:.4g}"
    return [
        Line(
            "M3",
            "audio in memory, maximum (without: kept until the sweep)",
            "MB",
            of(WITHOUT, "most"),
            of(WITH, "most"),
            limit_mb,
            kept_mb,
        ),
        Line("M3", "audio left at the end", "B", of(WITHOUT, "end"), of(WITH, "end"), "== 0"),
        Line(
            "M3",
            "redispatches (without: audio freed at dispatch)",
            "",
            of(FREED, "redispatches"),
            of(WITH, "redispatches"),
            "> 0",
            "> 0",
        ),
        Line("M3", "redispatches with no audio to send", "%", of(FREED, "share"), of(WITH, "share"), "== 0", "== 100"),
        Line(
            "M3", "jobs failed because their audio was gone", "", of(FREED, "failed"), of(WITH, "failed"), "== 0", "> 0"
        ),
        Line("M3", "checkers broken", "", None, of(WITH, "broken"), "== 0"),
    ]


_FIGURES: dict[str, Callable[[SideRun], Figure]] = {
    "most": lambda found: max(found.bytes) / 1e6,
    "end": lambda found: found.bytes[-1],
    "redispatches": lambda found: found.redispatches,
    "share": lambda found: found.share,
    "failed": lambda found: found.run["failed_for"].get("no_audio", 0),
    "broken": lambda found: len(found.broken),
}


def _picture(size: Size, side_runs: Mapping[str, SideRun]) -> Picture:
    drawn = [
        Curve(
            {WITHOUT: "without: kept until the sweep", FREED: "without: freed at dispatch", WITH: "with"}[side],
            [t / 60 for t in found.times_s],
            [max(1e-3, count / 1e6) for count in found.bytes],
            side.split(",")[0],
            "dotted" if side == FREED else "line",
        )
        for side, found in side_runs.items()
    ]
    end = max(max(curve.x) for curve in drawn)
    drawn.append(
        Curve(f"predicted when kept: {size.kept / 1e6:,.0f} MB", [0, end], [size.kept / 1e6] * 2, style="predicted")
    )
    return curves(
        "audio_bytes",
        "Audio in memory",
        "virtual time, minutes",
        "MB (logarithmic)",
        drawn,
        "Freed at dispatch needs the least memory, but redispatches have no audio. With: released at the job's end.",
        y_scale="log",
    )


EXPERIMENT = Experiment("audio", QUESTION, ROWS, measure)
