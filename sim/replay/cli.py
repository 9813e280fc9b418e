"""The commands `voxpool-sim replay` and `shrink`: what becomes of a failing run that was kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from voxpool.leakgate.terminal import say
from voxpool.sim.report.command_options import progress_bar

if TYPE_CHECKING:
    from voxpool.sim.replay.command import Told

store_option = click.option(
    "--store",
    help="memory, fakeredis, embedded or redis://…; must be given when it ran on a server  [default: as it ran]",
)
json_option = click.option(
    "--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures there."
)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--shrunk", is_flag=True, help="Run the smaller case that shrink has found.")
@click.option("--job", "job_ids", multiple=True, metavar="JOB", help="Draw the life of this job, such as s1-17.")
@store_option
@json_option
def replay(folder: Path, shrunk: bool, job_ids: tuple[str, ...], store: str | None, json_path: Path | None) -> int:
    """Run a kept failing run again and write its trace for Perfetto.

    Exit code 0 when it does not fail any more, 1 when it fails as before, 2 when it fails in another way.
    """
    from voxpool.sim.replay.command import replay_folder

    return _told(replay_folder(folder, shrunk=shrunk, job_ids=job_ids, progress=progress_bar, store=store), json_path)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--runs", type=click.IntRange(1), default=1000, show_default=True, help="Runs to try at most.")
@click.option("--seconds", type=click.FloatRange(0), default=300.0, show_default=True, help="Time to try at most.")
@store_option
@json_option
def shrink(folder: Path, runs: int, seconds: float, store: str | None, json_path: Path | None) -> int:
    """Make a kept failing run smaller while it still fails in the same way.

    Exit code 0 when nothing more can be cut, 2 when a bound came first.
    """
    from voxpool.sim.replay.command import shrink_folder

    told = shrink_folder(folder, progress=progress_bar, runs_max=runs, seconds_max=seconds, store=store)
    return _told(told, json_path)


def _told(told: Told, json_path: Path | None) -> int:
    """Show what a command found, and write it to `json_path` if that is given."""
    import json

    for line in told.lines:
        say(line)
    if json_path is not None:
        json_path.write_text(json.dumps(told.json, indent=2) + "\n", encoding="utf-8")
        say(f"written: {json_path}")
    return told.exit_code
