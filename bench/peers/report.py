"""`python -m bench.peers.report PEERS.JSON…`: the tables of docs/reports/peers.md in Markdown, from kept runs.

The first file is the main run, whose goals are given; each other one has another size, number of nodes or of jobs in
flight, and becomes one table.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bench.peers.figures import line
from bench.peers.page import goals
from bench.peers.turn import Load, Phase, Turn
from voxpool.sim.report.limits import holds, shown


def read(path: Path) -> tuple[Load, list[Turn]]:
    """Return what a run has kept."""
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    load = Load(**kept["load"] | {"in_flight": tuple(kept["load"]["in_flight"])})
    turns = [
        Turn(one["subject"], tuple(Phase(**phase) for phase in one["phases"]), one["store_bytes_a_job"])
        for one in kept["turns"]
    ]
    return load, turns


def table(load: Load, turns: list[Turn], in_flight: int) -> list[str]:
    """Return the table of one number of jobs in flight, the fastest first."""
    names = dict.fromkeys(turn.subject for turn in turns)
    lines = [found for name in names if (found := line(turns, name, in_flight)) is not None]
    lines.sort(key=lambda one: -one.per_s)
    rows = [
        f"{in_flight} in flight, {load.size:,} bytes, {load.nodes} node{'s' if load.nodes > 1 else ''}:",
        "",
        "| subject | jobs/s | p50 ms | p99 ms | CPU us a job | bytes left in Redis | clean rounds |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in lines:
        cpu = ", ".join(f"{role} {used:.0f}" for role, used in one.cpu_us.items())
        left = "" if one.store_bytes_a_job is None else f"{one.store_bytes_a_job:,.0f}"
        rows.append(
            f"| {one.subject} | {one.per_s:,.0f} | {one.p50_ms:.2f} | {one.p99_ms:.2f} | {cpu} | {left} "
            f"| {one.clean} of {one.rounds} |"
        )
    return [*rows, ""]


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(paths: tuple[Path, ...]) -> None:
    """Print the tables."""
    rows = ["| goal | figure | limit | | beside |", "|---|---|---|---|---|"]
    for each in goals(read(paths[0])[1]):
        word = "met" if holds(each.figure, each.goal) else "missed"
        rows.append(f"| {each.what} | {shown(each.figure, each.unit)} | {each.goal} | {word} | {each.beside} |")
    rows.append("")
    for path in paths:
        load, turns = read(path)
        for in_flight in load.in_flight:
            rows += table(load, turns, in_flight)
    click.echo("\n".join(rows))


if __name__ == "__main__":
    main()
