"""Real schedulers with planted leaks, and with growth that is no leak, under the recommended load: what is the verdict?
`python -m bench._gate [PLANT…] [--jobs N] [--out FOLDER]` plays them, several at a time, and prints a table.

It takes an hour; `python -m bench` leaves it out. The exit code is 1 when the demands are missed: one leak may stay
unclear and none may be called "no leak"; no healthy process may be called a leak, and two may be unclear.
"""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import click

from voxpool.loadtest.processes._own_process import clean_environment, python
from voxpool.loadtest.processes._own_scheduler import OwnScheduler
from voxpool.loadtest.report._records import read_report

LOAD = ("-u", "60", "-r", "60", "-t", "10m", "--audio-bytes", "1000", "--gate", "memory", "--until-clear", "360")
"""30 jobs a second, for 6 to 10 minutes, as docs/memory-watch.md recommends."""
SERVE = "--retention-s 15 --cleanup-interval-s 3"
UNCLEAR_MAX = {"leak": 1, "healthy": 2}


class Plant(NamedTuple):
    """A process to be judged: its name in bench/planted_server.py, whether it leaks, and extra options of the load."""

    name: str
    truth: str
    load: tuple[str, ...] = ()


PLANTS = (
    Plant("dict_50", "leak"),
    Plant("dict_200", "leak"),
    Plant("hidden_1000", "leak"),
    Plant("ctypes_2000", "leak"),
    Plant("log_buffer_1000", "leak"),
    Plant("task_never_done", "leak"),
    Plant("per_connection", "leak", ("--shape", "churn")),
    Plant("error_kept", "leak", ("--misbehaving", "10")),
    Plant("mmap_6500", "leak"),
    Plant("one_percent", "leak"),
    Plant("redis_keys", "leak"),
    Plant("per_cancel", "leak", ("--cancel-share", "0.05")),
    Plant("nothing", "healthy"),
    Plant("cache_2000", "healthy"),
    Plant("hidden_cache_2000", "healthy"),
    Plant("declared_cache_9000", "healthy", ("--bounded", "table results._cache=9000:100")),
    Plant("flush_40_s", "healthy"),
    Plant("warm_up_60_s", "healthy"),
    Plant("survivors", "healthy"),
    Plant("spike", "healthy"),
    Plant("random_walk", "healthy"),
    Plant("churn", "healthy", ("--shape", "churn")),
)


class Found(NamedTuple):
    """The verdict of the gate on one plant."""

    plant: Plant
    exit_code: int
    verdict: str
    seconds: float
    why: str


def play(plant: Plant, out: Path, seed: int) -> Found:
    """Play one plant and return the verdict."""
    folder = out / f"{plant.name}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").unlink(missing_ok=True)
    name = "nothing" if plant.name == "churn" else plant.name
    scheduler = OwnScheduler(folder, "embedded", SERVE, ("bench.planted_server", name))
    try:
        words = ("-f", "loadtest/", "--headless", "--only-summary", "--host", scheduler.url, "--seed", str(seed))
        with (folder / "locust.log").open("wb") as log:
            done = subprocess.run(
                [*python("locust"), *words, *LOAD, *plant.load, "--out", str(folder)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=clean_environment(), check=False,
            )  # fmt: skip
    finally:
        scheduler.stop()
    if not (folder / "report.json").exists():
        return Found(plant, done.returncode, "no report", 0.0, "")
    report = read_report(folder)
    finding = report.memory.finding if report.memory is not None else None
    verdict, why = ("unclear", report.why) if finding is None else (finding.verdict, finding.reason)
    return Found(plant, done.returncode, verdict, report.duration_s, why)


@click.command()
@click.argument("names", nargs=-1, metavar="[PLANT]…")
@click.option("--jobs", default=4, show_default=True, help="Runs at a time.")
@click.option("--seed", default=1, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/gate"), show_default=True)
def main(names: tuple[str, ...], jobs: int, seed: int, out: Path) -> None:
    """Judge all plants, leaks and healthy ones, and print the table."""
    wanted = [plant for plant in PLANTS if not names or plant.name in names]
    with ThreadPoolExecutor(jobs) as pool:
        found = []
        for one in pool.map(lambda plant: play(plant, out, seed), wanted):
            found.append(one)
            click.echo(
                f"{one.plant.name:20} {one.plant.truth:8} exit {one.exit_code}  {one.verdict:9} "
                f"{one.seconds:5.0f} s  {one.why}"
            )
    missed = 0
    for truth, wrong, right in (("leak", "no leak", "leak"), ("healthy", "leak", "no leak")):
        of_it = [one for one in found if one.plant.truth == truth]
        unclear = sum(one.verdict not in (wrong, right) for one in of_it)
        errors = sum(one.verdict == wrong for one in of_it)
        missed += errors + (unclear > UNCLEAR_MAX[truth])
        click.echo(f"{truth}: {len(of_it)}, of which {errors} called {wrong}, {unclear} unclear")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
