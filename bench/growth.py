"""What a job costs the scheduler as its surroundings grow: finished jobs it still keeps, idle sessions, nodes, clients.

`python -m bench.growth [WHAT]… [--quick]` starts a scheduler for each point, measures it with 64 jobs in flight, prints
the CPU time of the scheduler a job and draws a line for each. A cost is said to rise when the last point is above
1.25 times the first. Exit code 1 when one rises and `--check` is given.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click

from bench._rows import Row, print_rows
from bench.peers.cpu import cpu_ns
from bench.peers.environments import prepare
from bench.peers.subjects import LEAN_ROW, SUBJECTS
from bench.peers.turn import TREE, Load, environment_of, process, until_registered
from bench.round_trips import free_port, until_listening
from voxpool.sim.report.limits import holds

SUBJECT = next(one for one in SUBJECTS if one.name == LEAN_ROW)
IN_FLIGHT = 64
WARM_UP_JOBS = 101
"""Jobs of each client that its report leaves out."""
RISE = "<= 1.25"
FILL_IN_FLIGHT, FILL_PER_S = 256, 3_000
KEEPS = ("--retention-s", "36000", "--finished-max", "2000000")


class Growing(NamedTuple):
    """What grows: its description, its points, and those of a quick run."""

    what: str
    points: Sequence[int]
    quick: Sequence[int]


GROWING = {
    "residents": Growing("finished jobs kept", (1_000, 10_000, 100_000, 1_000_000), (1_000, 20_000)),
    "sessions": Growing("idle sessions", (0, 100, 1_000, 5_000), (0, 500)),
    "nodes": Growing("nodes", (10, 100, 1_000, 10_000), (10, 300)),
    "clients": Growing("clients, and as many nodes", (1, 2, 4, 8), (1, 4)),
}
Play = Callable[[int, float, int], tuple[int, float]]
"""Jobs in flight, seconds, clients -> jobs that ended, and CPU time of the scheduler a job in us."""
Points = dict[int, float]


@contextmanager
def running(folder: Path, *, nodes: int = 1, sessions: int = 0) -> Iterator[Play]:
    """Run a scheduler with idle nodes and sessions; yield the function that plays a load."""
    command, extra = prepare(SUBJECT, folder)
    with ExitStack() as stack:
        log = stack.enter_context((folder / "growth.log").open("ab")).fileno()
        port = free_port()
        environment = environment_of(SUBJECT, Load(nodes=nodes), port, TREE) | extra
        words = ("-m", "voxpool.scheduler", "serve", "--port", str(port), "--store", "embedded")
        server = [sys.executable, *words, *SUBJECT.flags, *KEEPS]
        scheduler = stack.enter_context(process(server, environment, log, TREE))
        until_listening(port)
        stack.enter_context(process([*command, "worker"], environment, log))
        until_registered(port, nodes)
        if sessions:
            ready = folder / "sessions-are-open"
            ready.unlink(missing_ok=True)
            idle = environment | {"SESSIONS": str(sessions), "READY": str(ready)}
            stack.enter_context(process([*command, "sessions"], idle, log))
            deadline_s = time.monotonic() + 120
            while not ready.exists():
                assert time.monotonic() < deadline_s, f"the idle sessions do not open; see {folder}/growth.log"
                time.sleep(0.1)

        def play(in_flight: int, seconds: float, clients: int) -> tuple[int, float]:
            load = environment | {"SECONDS": str(seconds), "IN_FLIGHT": str(in_flight)}
            before_ns = cpu_ns(scheduler)
            started = [
                subprocess.Popen([*command, "client"], env=load, stdout=subprocess.PIPE, stderr=log)
                for _ in range(clients)
            ]
            outputs = [one.communicate(timeout=seconds + 120)[0] for one in started]
            assert not any(one.returncode for one in started), f"a client failed; see {folder}/growth.log"
            jobs = sum(len(json.loads(output)["jobs"]) + WARM_UP_JOBS for output in outputs)
            return jobs, (cpu_ns(scheduler) - before_ns) / 1000 / jobs

        yield play


def residents(points: Sequence[int], folder: Path, seconds: float) -> Points:
    """Measure one scheduler as the jobs that it keeps grow."""
    costs: Points = {}
    with running(folder) as play:
        kept = play(IN_FLIGHT, 1.0, 1)[0]
        for wanted in points:
            while kept < wanted:
                kept += play(FILL_IN_FLIGHT, min(30.0, max(0.5, (wanted - kept) / FILL_PER_S)), 1)[0]
            jobs, costs[kept] = play(IN_FLIGHT, seconds, 1)
            kept += jobs
    return costs


def apart(name: str, points: Sequence[int], folder: Path, seconds: float) -> Points:
    """Measure a scheduler a point."""
    costs: Points = {}
    for count in points:
        clients = count if name == "clients" else 1
        nodes = 1 if name == "sessions" else count
        with running(folder, nodes=nodes, sessions=count if name == "sessions" else 0) as play:
            play(IN_FLIGHT, 1.0, 1)
            costs[count] = play(max(1, IN_FLIGHT // clients), seconds, clients)[1]
    return costs


MEASURE = {"residents": residents} | {name: partial(apart, name) for name in ("sessions", "nodes", "clients")}


def draw(found: dict[str, Points], path: Path) -> None:
    """Draw a line for each of what grows."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for name, costs in found.items():
        axes.plot([max(1, count) for count in costs], list(costs.values()), marker="o", label=GROWING[name].what)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("number (0 is drawn at 1)")
    axes.set_ylabel("CPU time of the scheduler a job, us")
    axes.legend()
    axes.grid(visible=True, alpha=0.3)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def rows_of(found: dict[str, Points]) -> list[Row]:
    """Return a row for each point, and one for the rise."""
    rows = []
    for name, costs in found.items():
        what = GROWING[name].what
        rows += [Row("growth", f"CPU a job, {count:,} {what}", cost, "us") for count, cost in costs.items()]
        first, *_, last = costs.values()
        rows.append(Row("growth", f"last beside first, {what}", last / first, "x", RISE))
    return rows


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(GROWING)), metavar="[WHAT]…")
@click.option("--quick", is_flag=True, help="Two points each.")
@click.option("--seconds", type=click.FloatRange(0.5), default=3.0, show_default=True, help="Length of a point.")
@click.option("--check", is_flag=True, help="Exit with 1 when a cost rises.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/peers"), show_default=True)
def main(names: tuple[str, ...], quick: bool, seconds: float, check: bool, out: Path) -> None:
    """Measure what a job costs as its surroundings grow."""
    out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Points] = {}
    for name in names or GROWING:
        click.echo(f"{GROWING[name].what} …", err=True)
        found[name] = MEASURE[name](GROWING[name].quick if quick else GROWING[name].points, out, seconds)
    rows = rows_of(found)
    print_rows(rows, "bench.growth")
    (out / "growth.json").write_text(json.dumps(found, indent=1) + "\n")
    draw(found, out / "growth.svg")
    sys.exit(1 if check and not all(holds(row.figure, row.goal) for row in rows if row.goal) else 0)


if __name__ == "__main__":
    main()
