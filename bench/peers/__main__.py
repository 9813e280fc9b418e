"""`python -m bench.peers [SUBJECT]…`: voxpool, other queues and bare relays in turn, round by round.

Each turn starts the processes of a subject afresh and ends them. A window of a quarter of a second counts when other
processes took at most a tenth of the machine; a phase is clean with two such windows. On a busy machine compare only
figures of one run. Exit codes: 0 all turns ended, 1 one failed or `--check` found a goal missed, 2 wrong words.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bench._rows import print_rows
from bench.peers.page import draw, goals, print_table, write_json
from bench.peers.subjects import SUBJECTS
from bench.peers.turn import Load, Turn, TurnFailed, play
from voxpool.sim.report.limits import holds

COUNTS = click.IntRange(1)


def listed(_context: click.Context, _option: click.Parameter, is_wanted: bool) -> None:
    """Print the subjects and end."""
    if is_wanted:
        for one in SUBJECTS:
            click.echo(f"{'*' if one.is_default else ' '} {one.name}")
        click.echo("* measured when none is named")
        sys.exit(0)


@click.command()
@click.argument("names", nargs=-1, metavar="[SUBJECT]…")
@click.option("--rounds", type=COUNTS, default=5, show_default=True)
@click.option("--in-flight", type=COUNTS, multiple=True, default=(1, 64), show_default=True, help="Jobs at a time.")
@click.option("--size", type=COUNTS, default=10_000, show_default=True, help="Bytes of audio of a job.")
@click.option("--nodes", type=COUNTS, default=1, show_default=True, help="Nodes of the lean client's rows.")
@click.option("--seconds", type=click.FloatRange(1), default=3.0, show_default=True, help="Length of a phase.")
@click.option("--all", "is_all", is_flag=True, help="Measure every subject.")
@click.option("--check", is_flag=True, help="Exit with 1 when a goal is missed.")
@click.option("--list", is_flag=True, is_eager=True, expose_value=False, callback=listed, help="The subjects.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/peers"), show_default=True)
def main(
    names: tuple[str, ...],
    rounds: int,
    in_flight: tuple[int, ...],
    size: int,
    nodes: int,
    seconds: float,
    is_all: bool,
    check: bool,
    out: Path,
) -> None:
    """Measure voxpool beside other queues."""
    unknown = sorted(set(names) - {one.name for one in SUBJECTS})
    if unknown:
        raise click.UsageError(f"no such subject: {', '.join(unknown)}; --list prints them")
    wanted = [one for one in SUBJECTS if one.name in names or is_all or (not names and one.is_default)]
    load = Load(tuple(in_flight), size, nodes, seconds)
    out.mkdir(parents=True, exist_ok=True)
    turns: list[Turn] = []
    failed = 0
    for number in range(rounds):
        for subject in wanted if number % 2 == 0 else reversed(wanted):
            try:
                turn = play(subject, load, out)
            except TurnFailed as error:
                failed += 1
                click.echo(f"{number + 1} of {rounds}: {error}", err=True)
                continue
            turns.append(turn)
            shown = "; ".join(
                f"{one.in_flight}: {one.per_s:,.0f}/s, p50 {one.p50_ms:.2f} ms, others {one.others:.0%}"
                for one in turn.phases
            )
            click.echo(f"{number + 1} of {rounds}: {subject.name}: {shown}", err=True)
    measured = [one.name for one in wanted]
    print_table(turns, load, measured)
    write_json(turns, load, out / "peers.json")
    draw(turns, load, measured, out / "peers.svg")
    found = goals(turns)
    if found:
        print_rows(found, "goals")
    missed = any(not holds(row.figure, row.goal) for row in found)
    sys.exit(1 if failed or (check and missed) else 0)


if __name__ == "__main__":
    main()
