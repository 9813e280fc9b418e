"""`python -m bench.peers.compare OLD NEW`: is a commit slower than another one? Both are measured in turn, in pairs.

A round plays each row of voxpool with the source of both commits, one right after the other. Exit codes: 0 no row is
slower, 1 the interval of a ratio lies below the tolerance as a whole, 2 wrong words.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from bench._rows import Row, print_rows
from bench.peers.figures import phases, ratio, speed_ratio
from bench.peers.subjects import SUBJECTS, VOXPOOL
from bench.peers.turn import Load, Turn, TurnFailed, play
from voxpool.sim.report.limits import holds

TOLERANCE = 0.03


def checked_out(commit: str, folder: Path) -> Path:
    """Return a work tree of `commit`."""
    found = subprocess.run(
        ["git", "rev-parse", "--verify", "--short=12", f"{commit}^{{commit}}"], capture_output=True, text=True
    )
    if found.returncode:
        raise click.UsageError(f"no such commit: {commit}")
    tree = folder / found.stdout.strip()
    if not tree.exists():
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(tree), commit], check=True)
    return tree.resolve()


def rows_of(turns: dict[str, list[Turn]], names: Sequence[str], in_flight: Sequence[int]) -> list[Row]:
    """Return the ratios of the newer commit to the older one."""
    old, new = turns
    renamed = [
        Turn(f"{commit} {turn.subject}", turn.phases, turn.store_bytes_a_job)
        for commit, of_commit in turns.items()
        for turn in of_commit
    ]
    rows = []
    for name in names:
        for count in in_flight:
            speed = speed_ratio(renamed, f"{new} {name}", f"{old} {name}", count)
            if speed is None:
                continue
            goal = f">= {1 - TOLERANCE}"
            figure = speed.ratio if speed.high is None else speed.high
            rows.append(Row("compare", f"jobs/s at {count} in flight, {name}", figure, "x", goal, f"{speed}"))
            used = [
                [phase.cpu_us["scheduler"] for phase in phases(renamed, f"{commit} {name}", count)]
                for commit in (new, old)
            ]
            cpu = ratio(*used)
            figure = cpu.ratio if cpu.low is None else cpu.low
            rows.append(
                Row(
                    "compare", f"scheduler's CPU a job at {count}, {name}", figure, "x", f"<= {1 + TOLERANCE}", f"{cpu}"
                )
            )
    return rows


@click.command()
@click.argument("old")
@click.argument("new", default="HEAD")
@click.option("--rounds", type=click.IntRange(3), default=7, show_default=True)
@click.option("--seconds", type=click.FloatRange(1), default=3.0, show_default=True, help="Length of a phase.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/peers"), show_default=True)
def main(old: str, new: str, rounds: int, seconds: float, out: Path) -> None:
    """Compare two commits."""
    out.mkdir(parents=True, exist_ok=True)
    trees = {commit: checked_out(commit, out) for commit in (old, new)}
    if len(trees) < 2:
        raise click.UsageError("the two commits are the same")
    load = Load(seconds=seconds)
    wanted = [one for one in SUBJECTS if one.kind == VOXPOOL]
    turns: dict[str, list[Turn]] = {old: [], new: []}
    for number in range(rounds):
        for subject in wanted:
            for commit in (old, new) if number % 2 == 0 else (new, old):
                click.echo(f"{number + 1} of {rounds}: {subject.name}, {commit}", err=True)
                try:
                    turns[commit].append(play(subject, load, out, trees[commit]))
                except TurnFailed as error:
                    raise click.ClickException(str(error)) from error
    rows = rows_of(turns, [one.name for one in wanted], load.in_flight)
    print_rows(rows, f"{new} beside {old}; the figure is the kind end of the interval")
    sys.exit(0 if all(holds(row.figure, row.goal) for row in rows) else 1)


if __name__ == "__main__":
    main()
