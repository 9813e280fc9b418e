"""Many short runs of the memory gate: does each run that finds the leak exit with 1 and write a report?

`python -m bench._ends [--leaky N] [--healthy N] [--jobs N]` plays runs with `--until-clear`, several at a time. The
leak is that of the brief: the clean-up is off, so that finished jobs are never removed. Half of the runs of either kind
have a busy machine; the others have a memory report that takes 0.7 s. The exit code is 1 when a leaky run ends with
anything but 1 and a report, when a healthy one ends with 1, or when any run ends with 0 without a report.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import click

from voxpool.loadtest.processes._own_process import clean_environment, dies_with_us, python
from voxpool.loadtest.processes._own_scheduler import OwnScheduler
from voxpool.loadtest.report._records import JSON_NAME, read_report

LOAD = ("-u", "40", "-r", "40", "--gate", "memory", "--until-clear", "5")
AT_MOST = {True: "120s", False: "25s"}
"""Leaky or not -> the longest time of a run. A leak must be found in it; a healthy run may end without a clear verdict.
"""
SWEPT, NEVER_SWEPT = "--retention-s 1 --cleanup-interval-s 0.5", "--retention-s 1 --cleanup-interval-s 0"
SLOW = ("tests.load.slow_memory_server", "0.7", "0")
BUSY = "while True: pass"


class Ended(NamedTuple):
    """How one run ended."""

    is_leaky: bool
    is_slow: bool
    exit_code: int
    verdict: str
    """Verdict of the report; "no report" without one."""
    seconds: float


def play(number: int, is_leaky: bool, is_slow: bool, out: Path) -> Ended:
    """Play one run, either with a slow memory report or on a busy machine."""
    folder = out / f"{'leaky' if is_leaky else 'healthy'}-{number}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JSON_NAME).unlink(missing_ok=True)
    program = SLOW if is_slow else ("voxpool.scheduler",)
    with ExitStack() as stack:
        if not is_slow:
            for _ in range(os.cpu_count() or 1):
                loop = subprocess.Popen([sys.executable, "-c", BUSY], preexec_fn=dies_with_us())
                stack.callback(loop.wait)
                stack.callback(loop.kill)
        scheduler = OwnScheduler(folder, "memory", NEVER_SWEPT if is_leaky else SWEPT, program)
        stack.callback(scheduler.stop)
        words = ("-f", "loadtest/", "--headless", "--only-summary", "--host", scheduler.url, "--seed", str(number))
        with (folder / "locust.log").open("wb") as log:
            done = subprocess.run(
                [*python("locust"), *words, *LOAD, "-t", AT_MOST[is_leaky], "--out", str(folder)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=clean_environment(), check=False,
            )  # fmt: skip
    if not (folder / JSON_NAME).exists():
        return Ended(is_leaky, is_slow, done.returncode, "no report", 0.0)
    report = read_report(folder)
    verdict = "none" if report.memory is None else report.memory.finding.verdict
    return Ended(is_leaky, is_slow, done.returncode, verdict, report.duration_s)


@click.command()
@click.option("--leaky", default=100, show_default=True)
@click.option("--healthy", default=50, show_default=True)
@click.option("--jobs", default=4, show_default=True, help="Runs at a time.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/ends"), show_default=True)
def main(leaky: int, healthy: int, jobs: int, out: Path) -> None:
    """Play many short runs of the gate and count how they end."""
    wanted = [(number, True, number % 2 == 1) for number in range(leaky)]
    wanted += [(number, False, number % 2 == 1) for number in range(healthy)]
    counts: Counter[tuple[str, str, int, str]] = Counter()
    wrong = 0
    with ThreadPoolExecutor(jobs) as pool:
        for place, one in enumerate(pool.map(lambda one: play(one[0], one[1], one[2], out), wanted), 1):
            has_report = one.verdict != "no report"
            is_right = (one.exit_code == 1 and has_report) if one.is_leaky else one.exit_code != 1
            wrong += not is_right or (one.exit_code == 0 and not has_report)
            kind = "leaky" if one.is_leaky else "healthy", "slow report" if one.is_slow else "busy machine"
            counts[*kind, one.exit_code, one.verdict] += 1
            click.echo(f"{place} of {len(wanted)}: {one}", err=True)
    for (truth, how, code, verdict), count in sorted(counts.items()):
        click.echo(f"{truth:8} {how:13} exit {code}  {verdict:10} {count}")
    click.echo(f"wrong: {wrong}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
