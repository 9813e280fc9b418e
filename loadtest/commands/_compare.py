"""Is run B worse than run A? Each figure with an interval, so that chance is not taken for a change, nor hidden by it.

A figure is worse when the whole interval of its change is past what is allowed, no worse when the whole interval is
within, and unclear else: then a longer run tells. Unclear is not a pass.

Runs of one seed ask for the same jobs at the same times, so their windows are resampled in pairs: what the draw of the
jobs did to both cancels out, and the intervals are those of what is left.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec
import numpy as np

from loadtest.commands._bootstrap import WINDOWS_MIN, Resampled, block_of, full_load, resample, weights_of
from loadtest.report._records import LoadReport, Window
from scheduler.errors import ConfigError
from sim.report import Check, Outcome

WORSE_BY = {"rate": 0.05, "mean": 0.05, "p50": 0.1, "p90": 0.1, "p99": 0.2, "failures": 0.001}
"""What is allowed, as a share; of `failures` as a difference of shares. Bytes a job: the floor of the gate itself."""
BYTES = "bytes_a_job"
LEAST_S = 0.001
"""A latency that rose by less than this did not change: clocks and timers of the generator are no better."""
CONFIDENCE = 0.95
SEED = 1
UNITS = {"rate": "1/s", "mean": "s", "p50": "s", "p90": "s", "p99": "s", "failures": "", BYTES: "B"}
LATENCIES = ("mean", "p50", "p90", "p99")
LOAD_OPTIONS = (
    "num_users", "spawn_rate", "shape", "scenario", "nodes", "slots", "pairs", "pairs_count", "rate_per_user",
    "work_ms", "work", "audio_bytes", "http_share", "messagepack_share", "misbehaving", "outstanding_max", "steps",
    "step_s", "spike_factor", "spike_s", "churn_stay_s", "churn_away_s", "kill_every_s", "kill_nodes",
)  # fmt: skip
"""Options that set the load: two runs that differ here can't be compared."""


class Word(StrEnum):
    """What is said of a figure."""

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
    """Return how `b` compares with `a`. `worse_by` replaces what WORSE_BY allows, figure by figure.

    `figures` are those that count; without, all do. Raises ConfigError when the runs were not under the same load
    (unless `anyway`), or have no such operation.
    """
    different = _different(a, b)
    if different and not anyway:
        raise ConfigError(f"A and B are not of the same load: {'; '.join(different)} (--anyway compares them)")
    for name, report in (("A", a), ("B", b)):
        known = sorted({part for one in report.operations for part in (one.name, f"{one.type} {one.name}")})
        if operation not in known:
            raise ConfigError(f"{name} has no operation {operation!r}; it has {', '.join(known) or 'none'}")
    allowed = {**WORSE_BY, **(worse_by or {})}
    notes = [f"not the same: {text}" for text in different]
    notes += [f"{name} itself is {one.verdict}: {one.why}" for name, one in (("A", a), ("B", b)) if one.exit_code]
    limits = [
        f"the generator of {name} was the limit: {'; '.join(report.generator.reasons)}"
        for name, report in (("A", a), ("B", b))
        if report.generator.was_limit
    ]
    changes = _by_windows(a, b, allowed, operation, confidence, seed, limits)
    memory = _bytes(a, b, allowed.get(BYTES))
    if memory is None:
        notes.append("live bytes a job: not told by either run")
    else:
        changes.append(memory)
    changes = [one for one in changes if one.name in figures or not figures]
    outcome = _outcome(changes)
    return Comparison(
        operation=operation,
        confidence=confidence,
        verdict=outcome.value,
        exit_code=outcome.exit_code,
        checks=[
            Check(one.name, one.word is Word.NO_WORSE, one.change, f"<= {one.allowed:g}", one.word is not Word.UNCLEAR)
            for one in changes
        ],
        changes=changes,
        notes=notes + limits,
    )


def _outcome(changes: Sequence[Change]) -> Outcome:
    words = {change.word for change in changes}
    if Word.WORSE in words:
        return Outcome.BROKEN
    return Outcome.UNCLEAR if Word.UNCLEAR in words or not words else Outcome.HOLDS


def _different(a: LoadReport, b: LoadReport) -> list[str]:
    """Return the options that set the load and are not the same."""
    return [
        f"{name} is {a.options[name]!r} and {b.options[name]!r}"
        for name in LOAD_OPTIONS
        if name in a.options and name in b.options and a.options[name] != b.options[name]
    ]


def _by_windows(
    a: LoadReport, b: LoadReport, allowed: Mapping[str, float], operation: str, confidence: float, seed: int,
    limits: Sequence[str],
) -> list[Change]:  # fmt: skip
    first, second = full_load(a), full_load(b)
    is_paired = _same_arrivals(a, b)
    if is_paired:
        first, second = _pairs(first, second)
    few = [
        f"{name} has {len(windows)} windows under full load{' that the other has, too' if is_paired else ''}, "
        f"{WINDOWS_MIN} are needed"
        for name, windows in (("A", first), ("B", second))
        if len(windows) < WINDOWS_MIN
    ]
    if few:
        return [_nothing(name, allowed[name], "; ".join(few)) for name in WORSE_BY]
    rng = np.random.default_rng(seed)
    block = max(block_of(first, operation), block_of(second, operation))
    weights = weights_of(len(first), block, rng)
    in_a = resample(first, operation, weights)
    in_b = resample(second, operation, weights if is_paired else weights_of(len(second), block, rng))
    return [_change(name, in_a.get(name), in_b.get(name), allowed[name], confidence, limits) for name in WORSE_BY]


def _same_arrivals(a: LoadReport, b: LoadReport) -> bool:
    """Return whether both runs asked the same at the same times: the same load from the same seed."""
    seeds = a.options.get("seed"), b.options.get("seed")
    return seeds[0] is not None and seeds[0] == seeds[1] and not _different(a, b)


def _pairs(a: Sequence[Window], b: Sequence[Window]) -> tuple[list[Window], list[Window]]:
    """Return the windows that both runs have, at the same times: with the same jobs, chance is the same for both."""
    in_a, in_b = ({(window.start_s, window.length_s): window for window in windows} for windows in (a, b))
    common = sorted(in_a.keys() & in_b.keys())
    return [in_a[at] for at in common], [in_b[at] for at in common]


def _change(
    name: str, a: Resampled | None, b: Resampled | None, allowed: float, confidence: float, limits: Sequence[str]
) -> Change:
    if a is None or b is None:
        return _nothing(name, allowed, f"too few results in {'A' if a is None else 'B'} for a latency")
    if name == "failures":
        change, resamples = b.figure - a.figure, b.resamples - a.resamples
    elif name == "rate":
        if not a.figure:
            return _nothing(name, allowed, "A completed nothing")
        change, resamples = 1 - b.figure / a.figure, 1 - b.resamples / np.maximum(a.resamples, 1e-12)
    else:
        change, resamples = b.figure / a.figure - 1, b.resamples / a.resamples - 1
    low, high = (float(x) for x in np.quantile(resamples, [(1 - confidence) / 2, (1 + confidence) / 2]))
    # Below a millisecond, a share of a latency says nothing.
    room = max(allowed, LEAST_S / a.figure) if name in LATENCIES else allowed
    word, why = _word(change, low, high, room)
    if limits and name != "failures":
        word, why = Word.UNCLEAR, "a generator was the limit"
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
    hint = f"; runs about {max(2, longer)} times as long would tell" if longer <= 50 else ""
    return Word.UNCLEAR, f"what is allowed lies within the interval{hint}"


def _bytes(a: LoadReport, b: LoadReport, allowed: float | None) -> Change | None:
    """Return the change of live bytes a job; None when neither run tells them."""
    told = [report.memory.finding.live if report.memory is not None else None for report in (a, b)]
    figures: list[Any] = [
        None if live is None or None in (live.a_unit, live.low, live.high) else (live.a_unit, live.low, live.high)
        for live in told
    ]
    if figures == [None, None]:
        return None
    room = allowed if allowed is not None else max(live.limit for live in told if live is not None)
    if None in figures:
        return _nothing(BYTES, room, f"{'A' if figures[0] is None else 'B'} does not tell them")
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
