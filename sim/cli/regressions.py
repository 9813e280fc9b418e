"""`voxpool-sim regressions`: play all kept runs and schedules, or add one to the store."""

from __future__ import annotations

from pathlib import Path

import click

from voxpool.leakgate.terminal import say
from voxpool.scheduler.errors import ConfigError
from voxpool.sim.explore.kept import play_kept as play_schedules
from voxpool.sim.explore.model.flows import FLOWS
from voxpool.sim.replay.case import KEPT
from voxpool.sim.replay.regressions import SHIPPED, add, play_kept

HOLDS, BROKEN = 0, 1


@click.command("regressions")
@click.option(
    "--add", "added", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Add this kept run to them."
)
@click.option("--why", default="", help="With --add: the defect that it showed, in a sentence.")
@click.option(
    "--kept",
    type=click.Path(path_type=Path, file_okay=False),
    default=KEPT,
    show_default=True,
    help="Play the kept runs of this folder, too.",
)
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    default=SHIPPED,
    help="With --add: the folder to copy it to.  [default: those that come with voxpool]",
)
def regressions_command(added: Path | None, why: str, kept: Path, to: Path) -> int:
    """Play the runs and schedules that failed once: those that come with voxpool, and those in out/failed.

    `soak --seeds N` with more than one seed and `explore` play them first. Exit code 1 when one fails.
    """
    if added is not None:
        if not why:
            raise ConfigError("--add needs --why: the defect that the run showed, in a sentence")
        say(f"written: {add(added, why, to)}")
        return HOLDS
    runs = [*play_kept(SHIPPED), *play_kept(kept), *play_schedules(FLOWS, (SHIPPED, kept))]
    for run in runs:
        say(f"{'fails' if run.signs else 'holds'}  {run.file.parent.name}: {run.about}")
        for sign in run.signs:
            say(f"       {sign} ({run.file})")
    return BROKEN if any(run.signs for run in runs) else HOLDS
