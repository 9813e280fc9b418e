"""Measures the error rates of the judge on simulated processes: `python -m voxpool.leakgate.judging.bench`.

A run is judged every two seconds from `--seconds` on. It ends after three equal clear verdicts in a row, and at
`--most` at the latest, like `--until-clear` of a load test. The table shows how often each shape was judged a leak, no
leak and unclear, and the duration. Then the printed power is tested: the smallest growth that a healthy run claims to
detect is planted in another run. The exit code is 1 when a demand is not met.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import msgspec

from voxpool.leakgate.judging.finding import MemoryFinding
from voxpool.leakgate.judging.judge import LEAK, NO_LEAK, UNCLEAR, judge_memory
from voxpool.leakgate.judging.noise import measured_noise
from voxpool.leakgate.judging.shapes import SHAPES, leaking
from voxpool.leakgate.judging.simulated import Setting, Shape, series_of
from voxpool.leakgate.readings.series import Series, Source

LEAST_S, MOST_S = 360.0, 600.0
"""The recommended length of a run."""
RECOMMENDED = Setting()
LOOK_S, LOOKS = 2.0, 3
"""Interval of judgements, as in a load test."""
POWER = 0.95
POWER_TIMES = 2.0
"""A growth above this multiple of the power figure must never be judged healthy."""


class Played(NamedTuple):
    """The result of a simulated run."""

    finding: MemoryFinding
    seconds: float
    series: Series
    source: Source


class Row(msgspec.Struct, frozen=True):
    """The results of all runs of one shape, as shares."""

    shape: str
    truth: str
    runs: int
    leak: float
    no_leak: float
    unclear: float
    seconds: float
    """The median."""
    text: str
    broken: list[str] = []
    """Demands that are not met."""


class Power(msgspec.Struct, frozen=True):
    """The test of the power figure: growth of exactly the size that a healthy run printed."""

    runs: int
    """Number of healthy runs that printed a figure."""
    silent: int
    """Number of healthy runs that printed none."""
    found: int
    median_bytes: float
    broken: list[str] = []


class Result(msgspec.Struct, frozen=True):
    """The result of the bench."""

    setting: Setting
    least_s: float
    most_s: float
    rows: list[Row]
    power: Power | None

    @property
    def broken(self) -> list[str]:
        """The demands that are not met, a sentence each."""
        return [text for row in self.rows for text in row.broken] + (self.power.broken if self.power else [])


def play(shape: Shape, setting: Setting, seed: int, most_s: float = MOST_S) -> Played:
    """Simulate a run that ends when its verdict is clear; `setting.seconds` is its minimum duration."""
    whole, source = series_of(shape, replace(setting, beyond_s=max(0.0, most_s - setting.seconds)), seed)
    verdict, in_a_row, now_s = "", 0, setting.seconds
    while True:
        series = _until(whole, now_s)
        finding = judge_memory(series, source)
        in_a_row = 0 if finding.verdict == UNCLEAR else in_a_row + 1 if finding.verdict == verdict else 1
        verdict = finding.verdict
        if in_a_row >= LOOKS or now_s + LOOK_S > most_s:
            return Played(finding, now_s, series, source)
        now_s += LOOK_S


def _until(whole: Series, now_s: float) -> Series:
    """Return the series as it was at `now_s`."""
    made = Series()
    for reading in whole.readings:
        if reading.t_s <= now_s:
            made.add(reading)
    return made


def row_of(shape: Shape, setting: Setting, runs: int, most_s: float = MOST_S) -> Row:
    """Simulate `runs` runs of `shape`."""
    played = [play(shape, setting, seed, most_s) for seed in range(runs)]
    verdicts = [one.finding.verdict for one in played]
    row = Row(
        shape=shape.name,
        truth=shape.truth,
        runs=runs,
        leak=verdicts.count(LEAK) / runs,
        no_leak=verdicts.count(NO_LEAK) / runs,
        unclear=verdicts.count(UNCLEAR) / runs,
        seconds=sorted(one.seconds for one in played)[runs // 2],
        text=shape.text,
    )
    broken = _broken(shape, row)
    if shape.truth in ("leak", "native leak"):
        missed = sum(_is_far_above(shape, one) for one in played if one.finding.verdict == NO_LEAK)
        broken += [f"{shape.name}: {missed} times called health, far above the printed power"] if missed else []
    return msgspec.structs.replace(row, broken=broken)


def _broken(shape: Shape, row: Row) -> list[str]:
    demand = shape.demand
    kept = (
        ("leak", row.leak, row.leak <= demand.leak_max, f"at most {demand.leak_max:.0%}"),
        ("leak", row.leak, row.leak >= demand.leak_min, f"at least {demand.leak_min:.0%}"),
        ("unclear", row.unclear, row.unclear <= demand.unclear_max, f"at most {demand.unclear_max:.0%}"),
    )
    return [f"{shape.name}: {word} {share:.1%}, want {want}" for word, share, ok, want in kept if not ok]


def _is_far_above(shape: Shape, one: Played) -> bool:
    """True when this run claims that it would have detected half of the growth that it missed."""
    if shape.allocated_bytes is None:
        return True
    power = judge_memory(one.series, one.source, with_power=True).power_bytes
    return power is not None and shape.allocated_bytes > POWER_TIMES * power


def power_of(setting: Setting, runs: int, most_s: float = MOST_S, healthy: Shape = SHAPES[0]) -> Power:
    """Test the figure that runs of `healthy` print, by planting that growth in other runs of the same duration."""
    figures, found = [], 0
    for seed in range(runs):
        one = play(healthy, setting, seed, most_s)
        power = judge_memory(one.series, one.source, with_power=True).power_bytes
        if power is None:
            continue
        figures.append(power)
        planted = series_of(leaking(power, healthy), replace(setting, seconds=one.seconds), runs + seed)
        found += judge_memory(*planted).verdict == LEAK
    least = POWER * len(figures) - 1.645 * math.sqrt(POWER * (1 - POWER) * len(figures))
    broken = [f"power: {found} of {len(figures)} were found, want {least:.0f} at least"] if found < least else []
    median = sorted(figures)[len(figures) // 2] if figures else math.nan
    return Power(len(figures), runs - len(figures), found, median, broken)


def table(result: Result) -> str:
    """Return the table in Markdown, with unmet demands below."""
    lines = ["| shape | behaviour | leak | no leak | unclear | seconds |", "|---|---|---|---|---|---|"]
    truth = ""
    for row in result.rows:
        if row.truth != truth:
            truth = row.truth
            lines.append(f"| **{truth}** | | | | | |")
        shares = " | ".join(f"{100 * share:.3g} %" for share in (row.leak, row.no_leak, row.unclear))
        lines.append(f"| {row.shape} | {row.text} | {shares} | {row.seconds:.0f} |")
    power = result.power
    if power is not None:
        lines += ["", f"Power: {power.runs} healthy runs printed a figure (median {power.median_bytes:,.0f} B a unit). "
                  f"As much was planted in {power.runs} others; {power.found} were found."]  # fmt: skip
    return "\n".join([*lines, "", *[f"NOT MET: {text}" for text in result.broken]])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench with the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m voxpool.leakgate.judging.bench", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--runs", type=int, default=200, help="of each shape (200)")
    parser.add_argument("--seconds", type=float, default=LEAST_S, help=f"the least time of a run ({LEAST_S:g})")
    parser.add_argument("--most", type=float, default=MOST_S, help=f"its longest time ({MOST_S:g})")
    parser.add_argument("--rate", type=float, help=f"units of work a second ({RECOMMENDED.rate:g})")
    parser.add_argument("--shapes", nargs="*", metavar="NAME", help="these alone")
    parser.add_argument("--noise", type=Path, metavar="REPORT.json", help="take the noise from the report of a run")
    parser.add_argument("--no-power", action="store_true", help="leave out the test of the printed power")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    given = parser.parse_args(arguments)
    names = {shape.name for shape in SHAPES}
    if unknown := set(given.shapes or ()) - names:
        parser.error(f"no such shape: {', '.join(sorted(unknown))}; there are: {', '.join(sorted(names))}")
    if given.runs < 1 or given.seconds <= 0 or given.most < given.seconds:
        parser.error("want --runs of 1 or more and 0 < --seconds <= --most")
    setting = RECOMMENDED
    if given.noise is not None:
        try:
            setting = measured_noise(given.noise)
        except (OSError, ValueError) as error:
            parser.error(f"{given.noise}: {error}")
    setting = replace(setting, seconds=given.seconds, rate=given.rate or setting.rate)
    rows = []
    for shape in SHAPES:
        if given.shapes and shape.name not in given.shapes:
            continue
        began_s = monotonic()
        row = row_of(shape, setting, given.runs, given.most)
        rows.append(row)
        word = "; ".join(row.broken) or "as demanded"
        print(f"{shape.name}: {word}; took {monotonic() - began_s:.0f} s", file=sys.stderr, flush=True)
    power = None if given.no_power else power_of(setting, given.runs, given.most)
    result = Result(setting, given.seconds, given.most, rows, power)
    print(table(result))
    if given.json is not None:
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(result)))
    return 1 if result.broken else 0


if __name__ == "__main__":
    sys.exit(main())
