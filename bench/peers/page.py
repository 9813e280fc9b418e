"""The results of a run: a table, the goals beside them, JSON, and a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench._rows import Row
from bench.peers.figures import best, line, speed_ratio
from bench.peers.subjects import BULLMQ, LEAN_ROW, PYTHON_PEERS, README_ROW
from bench.peers.turn import Load, Turn

NOT_COMPARED = (
    "Not compared: several worker processes, TLS, persistence (each Redis is without it), brokers other than Redis, "
    "Redis Cluster, what a queue does that voxpool does not (schedules, chains, a result kept for days)."
)


def goals(turns: Sequence[Turn]) -> list[Row]:
    """Return the goals of this comparison beside what was measured; a goal without its subjects is left out."""
    rows: list[Row] = []
    peer = best(turns, PYTHON_PEERS, 64)
    bullmq = best(turns, BULLMQ, 64)
    for ours, theirs, goal in (
        (README_ROW, peer.subject if peer else "", ">= 3.5"),
        (LEAN_ROW, peer.subject if peer else "", ">= 6"),
        (LEAN_ROW, bullmq.subject if bullmq else "", ">= 5.5"),
        (LEAN_ROW, "relay of picows", ">= 0.4"),
    ):
        found = speed_ratio(turns, ours, theirs, 64)
        if found is not None:
            rows.append(Row("peers", f"jobs/s at 64 in flight, {ours}", found.ratio, "x", goal, f"{theirs}: {found}"))
    ours_64, ours_1 = line(turns, README_ROW, 64), line(turns, README_ROW, 1)
    if ours_64 is not None:
        ends_us = ours_64.cpu_us["client"] + ours_64.cpu_us["worker"]
        rows.append(
            Row("peers", "CPU of the scheduler a job, 64 in flight", ours_64.cpu_us["scheduler"], "us", "<= 45")
        )
        rows.append(Row("peers", "CPU of client and worker a job, 64 in flight", ends_us, "us", "<= 90"))
    fastest = best(turns, (*PYTHON_PEERS, *BULLMQ), 1)
    if ours_1 is not None and fastest is not None:
        beside = f"{ours_1.p50_ms:.2f} ms; {fastest.subject} {fastest.p50_ms:.2f} ms"
        rows.append(Row("peers", "p50 at one in flight", ours_1.p50_ms / fastest.p50_ms, "x", "<= 0.8", beside))
        beside = f"{ours_1.p99_ms:.2f} ms; {fastest.subject} {fastest.p99_ms:.2f} ms"
        rows.append(Row("peers", "p99 at one in flight", ours_1.p99_ms / fastest.p99_ms, "x", "<= 1", beside))
    return rows


def print_table(turns: Sequence[Turn], load: Load, names: Sequence[str]) -> None:
    """Print one line a subject and number in flight."""
    table = Table(title=f"{load.size:,} bytes, {load.nodes} worker(s); medians", title_justify="left")
    for name in (
        "subject",
        "in flight",
        "jobs/s",
        "p50 ms",
        "p99 ms",
        "CPU us a job",
        "left in store B",
        "clean rounds",
    ):
        table.add_column(name, justify="left" if name == "subject" else "right")
    for in_flight in load.in_flight:
        for name in names:
            found = line(turns, name, in_flight)
            if found is None:
                table.add_row(name, str(in_flight), "failed")
                continue
            cpu = ", ".join(f"{role} {used:.0f}" for role, used in found.cpu_us.items())
            left = "" if found.store_bytes_a_job is None else f"{found.store_bytes_a_job:,.0f}"
            table.add_row(
                name, str(in_flight), f"{found.per_s:,.0f}", f"{found.p50_ms:.2f}", f"{found.p99_ms:.2f}",
                cpu, left, f"{found.clean} of {found.rounds}",
            )  # fmt: skip
    console = Console()
    if not console.is_terminal:
        console.width = 180
    console.print(table)
    console.print(NOT_COMPARED)


def write_json(turns: Sequence[Turn], load: Load, path: Path) -> None:
    """Write every turn, so that other figures can be drawn from it."""
    path.write_text(json.dumps({"load": asdict(load), "turns": [asdict(turn) for turn in turns]}, indent=1) + "\n")


def draw(turns: Sequence[Turn], load: Load, names: Sequence[str], path: Path) -> None:
    """Draw jobs a second of each subject at the largest number in flight, with the range of its rounds."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    most = max(load.in_flight)
    lines = [found for name in names if (found := line(turns, name, most)) is not None]
    lines.sort(key=lambda one: one.per_s)
    figure, axes = pyplot.subplots(figsize=(9, 1 + 0.32 * len(lines)), layout="constrained")
    colours = ["tab:blue" if one.subject.startswith("voxpool") else "tab:gray" for one in lines]
    axes.barh([one.subject for one in lines], [one.per_s for one in lines], color=colours)
    for place, one in enumerate(lines):
        rates = [
            phase.per_s
            for turn in turns
            if turn.subject == one.subject
            for phase in turn.phases
            if phase.in_flight == most
        ]
        axes.plot([min(rates), max(rates)], [place, place], color="black", linewidth=1)
        axes.text(max(rates), place, f" {one.per_s:,.0f}", va="center", fontsize=8)
    axes.set_xlabel(
        f"jobs a second at {most} in flight, {load.size:,} bytes, client, worker and scheduler on one machine"
    )
    axes.margins(x=0.1)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
