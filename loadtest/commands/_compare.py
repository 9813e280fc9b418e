"""Is run B worse than run A? Each figure of B is compared with that of A, with an interval for the change.

A figure is worse when the whole interval exceeds the allowed change, no worse when the whole interval is within it, and
unclear otherwise. B is worse when one figure is, and no worse when every deciding figure is no worse.

Runs of one seed submit the same jobs at the same times, so their windows are resampled in pairs: the variation of jobs
cancels out, and so does the load of the machine when both runs are made at the same time.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
import numpy as np

from voxpool.loadtest.commands._bootstrap import (
    WINDOWS_MIN,
    Resampled,
    block_of,
    full_load,
    resample,
    typical,
    weights_of,
)
from voxpool.loadtest.measuring._generator import MACHINE_FULL
from voxpool.loadtest.report._records import LoadReport, Window
from voxpool.scheduler.errors import ConfigError
from voxpool.sim.report.report import Check, Outcome

TYPICAL, WRONG, BYTES = "typical", "wrong", "bytes_a_job"
BY_WINDOWS = {"rate": 0.05, TYPICAL: 0.05, "mean": 0.1, "p50": 0.1, "p90": 0.1, "p99": 0.2, "failures": 0.001}
"""Resampled figures and their allowed change, as a share; for `failures` a difference of shares."""
WORSE_BY = {**BY_WINDOWS, WRONG: 0.0}
"""Allowed change; for `wrong` a number of results, for bytes a job the floor of the memory gate."""
LEAST_S = 0.001
"""A latency that rose by less than this counts as unchanged: it is the precision of the generator's timers."""
SECONDS = 120.0
"""The recommended length of a run: two at the same time find a change of 10 % (docs/load-reports.md, measured)."""
DRIFT_MAX = 0.1
"""Largest difference in the machine's load (share of all cores) at which two runs in turn are comparable."""
CONFIDENCE = 0.95
SEED = 1
LATENCIES = (TYPICAL, "mean", "p50", "p90", "p99")
UNITS = {"rate": "1/s", **dict.fromkeys(LATENCIES, "s"), "failures": "share", WRONG: "", BYTES: "B"}
LOAD_OPTIONS = (
    "num_users", "spawn_rate", "shape", "scenario", "nodes", "slots", "pairs", "pairs_count", "rate_per_user",
    "work_ms", "work", "audio_bytes", "http_share", "messagepack_share", "misbehaving", "outstanding_max", "steps",
    "step_s", "spike_factor", "spike_s", "churn_stay_s", "churn_away_s", "kill_every_s", "kill_nodes",
)  # fmt: skip
"""Options that set the load: two runs with different ones can't be compared."""


class Word(StrEnum):
    """The verdict on a figure."""

    NO_WORSE = "no worse"
    WORSE = "worse"
    UNCLEAR = "unclear"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One figure in both runs. `change` is above 0 when B is worse: a share of A, or a difference (failures, bytes)."""

    name: str
    unit: str
    a: float | None
    b: float | None
    change: float | None
    low: float | None
    high: float | None
    allowed: float
    word: Word
    why: str = ""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Both runs, figure by figure."""

    experiment: str = "compare"
    operation: str
    confidence: float
    verdict: str
    exit_code: int
    checks: list[Check]
    changes: list[Change]
    notes: list[str]


def compare(
    a: LoadReport, b: LoadReport, *, worse_by: Mapping[str, float] | None = None, operation: str = "result",
    confidence: float = CONFIDENCE, seed: int = SEED, anyway: bool = False, figures: Collection[str] = (),
) -> Comparison:  # fmt: skip
    """Return how `b` compares with `a`. `worse_by` overrides WORSE_BY, figure by figure.

    `figures` are the deciding ones; by default all, except that bytes a job decide only when they are worse: their
    interval needs a longer run. Figures that the generator affects are unclear when it was the limit of a run; wrong
    and duplicate results are not affected. Raises ConfigError when the runs were not under the same load (unless
    `anyway`), or when there is no such operation.
    """
    different = _different(a, b)
    if different and not anyway:
        raise ConfigError(f"A and B had different loads: {'; '.join(different)} (--anyway compares them)")
    for name, report in (("A", a), ("B", b)):
        known = sorted({part for one in report.operations for part in (one.name, f"{one.type} {one.name}")})
        if operation not in known:
            raise ConfigError(f"{name} has no operation {operation!r}; it has {', '.join(known) or 'none'}")
    allowed = {**WORSE_BY, **(worse_by or {})}
    notes = [f"different: {text}" for text in different]
    notes += [f"{name} itself is {one.verdict}: {one.why}" for name, one in (("A", a), ("B", b)) if one.exit_code]
    limits = [
        f"the generator of {name} was the limit: {'; '.join(report.generator.reasons)}"
        for name, report in (("A", a), ("B", b))
        if report.generator.was_limit
    ]
    unclear = dict.fromkeys(BY_WINDOWS, "a generator was the limit") if limits else {}
    together = _were_together(a, b)
    drift = "" if together else _drift(a, b)
    if drift:
        unclear = {**dict.fromkeys(("rate", *LATENCIES), drift), **unclear}
    changes = _by_windows(a, b, allowed, operation, confidence, seed, unclear)
    changes += [_wrong(a, b, allowed[WRONG])]
    memory = _bytes(a, b, allowed.get(BYTES))
    if memory is None:
        notes.append("allocated bytes a job: not reported by either run")
    else:
        changes.append(memory)
    changes = [one for one in changes if one.name in figures or not figures]
    counting = [one for one in changes if one.name in figures or one.name != BYTES or one.word is Word.WORSE]
    if len(counting) < len(changes):
        notes.append(f"{BYTES} is shown only; --figure {BYTES} makes it decide")
    if not together:
        notes.append(
            "the runs were not made at the same time: a machine that was slower in one of them looks like a change"
        )
    outcome = _outcome(counting)
    return Comparison(
        operation=operation,
        confidence=confidence,
        verdict=outcome.value,
        exit_code=outcome.exit_code,
        checks=[_check(one) for one in counting],
        changes=changes,
        notes=notes + limits,
    )


def _check(change: Change) -> Check:
    """Return the check of a change, in % or in bytes."""
    factor, unit = (1, change.unit) if change.name in (BYTES, WRONG) else (100, "%")
    figure = None if change.change is None else round(change.change * factor, 6)
    limit = f"<= {change.allowed * factor:g} {unit}".rstrip()
    is_clear = change.word is not Word.UNCLEAR
    return Check(change.name, change.word is Word.NO_WORSE, figure, limit, is_clear, unit=unit, note=change.why)


def _outcome(changes: Sequence[Change]) -> Outcome:
    words = {change.word for change in changes}
    if Word.WORSE in words:
        return Outcome.BROKEN
    return Outcome.UNCLEAR if Word.UNCLEAR in words or not words else Outcome.HOLDS


def _different(a: LoadReport, b: LoadReport) -> list[str]:
    """Return the options of the load that differ."""
    return [
        f"{name} is {a.options[name]!r} and {b.options[name]!r}"
        for name in LOAD_OPTIONS
        if name in a.options and name in b.options and a.options[name] != b.options[name]
    ]


def _by_windows(
    a: LoadReport, b: LoadReport, allowed: Mapping[str, float], operation: str, confidence: float, seed: int,
    unclear: Mapping[str, str],
) -> list[Change]:  # fmt: skip
    first, second = full_load(a), full_load(b)
    is_paired = _same_arrivals(a, b)
    if is_paired:
        first, second = _pairs(first, second)
    few = [
        f"{name} has {len(windows)} windows under full load{' that the other has, too' if is_paired else ''}, "
        f"{WINDOWS_MIN} are needed: let the runs last {SECONDS:g} s"
        for name, windows in (("A", first), ("B", second))
        if len(windows) < WINDOWS_MIN
    ]
    if few:
        return [_nothing(name, allowed[name], "; ".join(few)) for name in BY_WINDOWS]
    rng = np.random.default_rng(seed)
    if is_paired:
        block = block_of(first, operation, second)
    else:
        block = max(block_of(first, operation), block_of(second, operation))
    weights = weights_of(len(first), block, rng)
    others = weights if is_paired else weights_of(len(second), block, rng)
    in_a, in_b = resample(first, operation, weights), resample(second, operation, others)
    middle = typical(first, second, operation, weights, None if is_paired else others)
    if middle is not None:
        in_a[TYPICAL], in_b[TYPICAL] = middle
    return [
        _change(name, in_a.get(name), in_b.get(name), allowed[name], confidence, unclear.get(name, ""))
        for name in BY_WINDOWS
    ]


def _same_arrivals(a: LoadReport, b: LoadReport) -> bool:
    """Return whether both runs submitted the same jobs at the same times: the same load from the same seed."""
    seeds = a.options.get("seed"), b.options.get("seed")
    return seeds[0] is not None and seeds[0] == seeds[1] and not _different(a, b)


def _pairs(a: Sequence[Window], b: Sequence[Window]) -> tuple[list[Window], list[Window]]:
    """Return the windows at the same times in both runs, which have the same jobs."""
    in_a, in_b = ({(window.start_s, window.length_s): window for window in windows} for windows in (a, b))
    common = sorted(in_a.keys() & in_b.keys())
    return [in_a[at] for at in common], [in_b[at] for at in common]


def _change(
    name: str, a: Resampled | None, b: Resampled | None, allowed: float, confidence: float, unclear: str
) -> Change:
    if a is None or b is None:
        return _nothing(
            name, allowed, "a window has no results" if name == TYPICAL else "too few results for a latency"
        )
    if name == "failures":
        change, resamples = b.figure - a.figure, b.resamples - a.resamples
    elif name == "rate":
        if not a.figure:
            return _nothing(name, allowed, "A completed nothing")
        change, resamples = 1 - b.figure / a.figure, 1 - b.resamples / np.maximum(a.resamples, 1e-12)
    else:
        change, resamples = b.figure / a.figure - 1, b.resamples / a.resamples - 1
    low, high = (float(x) for x in np.quantile(resamples, [(1 - confidence) / 2, (1 + confidence) / 2]))
    # Below a millisecond, a share of a latency is meaningless.
    room = max(allowed, LEAST_S / a.figure) if name in LATENCIES else allowed
    word, why = (Word.UNCLEAR, unclear) if unclear else _word(change, low, high, room)
    return Change(
        name=name, unit=UNITS[name], a=a.figure, b=b.figure, change=change, low=low, high=high, allowed=room,
        word=word, why=why,
    )  # fmt: skip


def _word(change: float, low: float, high: float, allowed: float) -> tuple[Word, str]:
    if low > allowed:
        return Word.WORSE, ""
    if high <= allowed:
        return Word.NO_WORSE, ""
    # An interval shrinks with the square root of the time.
    room = abs(allowed - change)
    longer = math.ceil(((high - low) / 2 / room) ** 2) if room else math.inf
    hint = f"; runs about {max(2, longer)} times as long would decide" if longer <= 50 else ""
    return Word.UNCLEAR, f"the allowed change lies within the interval{hint}"


def _were_together(a: LoadReport, b: LoadReport) -> bool:
    """Return whether the runs shared at least half of their time."""
    starts = [datetime.fromisoformat(report.started).timestamp() for report in (a, b)]
    ends = [start + report.duration_s for start, report in zip(starts, (a, b), strict=True)]
    return min(ends) - max(starts) >= min(a.duration_s, b.duration_s) / 2


def _drift(a: LoadReport, b: LoadReport) -> str:
    """Return why latencies of runs in turn are not comparable: the machine's load differed; "" when they are."""
    in_a, in_b = a.generator.machine_cpu_mean, b.generator.machine_cpu_mean
    if in_a is None or in_b is None or (abs(in_b - in_a) <= DRIFT_MAX and max(in_a, in_b) < MACHINE_FULL):
        return ""
    return f"the machine was {in_a:.0%} busy in A and {in_b:.0%} in B: run both at the same time"


def _wrong(a: LoadReport, b: LoadReport, allowed: float) -> Change:
    """Return the change of the number of wrong or duplicate results, which needs no interval."""
    figures = [float(report.jobs.wrong + report.jobs.twice) if report.jobs is not None else None for report in (a, b)]
    if figures[0] is None or figures[1] is None:
        return _nothing(WRONG, allowed, "not reported")
    change = figures[1] - figures[0]
    return Change(
        name=WRONG, unit=UNITS[WRONG], a=figures[0], b=figures[1], change=change, low=change, high=change,
        allowed=allowed, word=Word.WORSE if change > allowed else Word.NO_WORSE,
    )  # fmt: skip


def _bytes(a: LoadReport, b: LoadReport, allowed: float | None) -> Change | None:
    """Return the change of allocated bytes a job; None when neither run reports them."""
    measured = [report.memory.finding.allocated if report.memory is not None else None for report in (a, b)]
    figures: list[Any] = [
        None
        if allocated is None or None in (allocated.a_unit, allocated.low, allocated.high)
        else (allocated.a_unit, allocated.low, allocated.high)
        for allocated in measured
    ]
    if figures == [None, None]:
        return None
    room = allowed if allowed is not None else max(allocated.limit for allocated in measured if allocated is not None)
    if None in figures:
        return _nothing(BYTES, room, f"{'A' if figures[0] is None else 'B'} does not report them")
    (a_figure, a_low, a_high), (b_figure, b_low, b_high) = figures
    change = b_figure - a_figure
    # The two errors are independent: their squares add.
    low = change - math.hypot(b_figure - b_low, a_high - a_figure)
    high = change + math.hypot(b_high - b_figure, a_figure - a_low)
    word, why = _word(change, low, high, room)
    return Change(
        name=BYTES, unit=UNITS[BYTES], a=a_figure, b=b_figure, change=change, low=low, high=high, allowed=room,
        word=word, why=why,
    )  # fmt: skip


def _nothing(name: str, allowed: float, why: str) -> Change:
    return Change(
        name=name, unit=UNITS[name], a=None, b=None, change=None, low=None, high=None, allowed=allowed,
        word=Word.UNCLEAR, why=why,
    )  # fmt: skip
