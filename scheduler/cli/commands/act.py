"""The commands that change something in a running scheduler: cancel a job, drain a node."""

from __future__ import annotations

import click

from voxpool.leakgate.terminal import say
from voxpool.scheduler.cli.commands import completion
from voxpool.scheduler.cli.exits import EXIT_DONE
from voxpool.scheduler.cli.grouped import GroupedCommand
from voxpool.scheduler.cli.options import json_option
from voxpool.scheduler.cli.output import NODE_COLUMNS, job_line, write_table
from voxpool.scheduler.cli.reach import Reach, reach_options


@click.command(cls=GroupedCommand)
@reach_options
@json_option
@click.argument("job_ids", nargs=-1, required=True, shell_complete=completion.jobs)
def cancel(reach: Reach, as_json: bool, job_ids: tuple[str, ...]) -> int:
    """Cancel the jobs JOB_IDS and show their states; a job that has ended stays as it is.

    A node that works on one of them is told to stop, and its answer is ignored.
    """
    with reach.client() as client:
        for job_id in job_ids:
            say(job_line(client.cancel(job_id), as_json))
    return EXIT_DONE


@click.command(cls=GroupedCommand)
@reach_options
@json_option
@click.option("--off", is_flag=True, help="Give it jobs again.")
@click.argument("node_id", shell_complete=completion.nodes)
def drain(reach: Reach, as_json: bool, off: bool, node_id: str) -> int:
    """Give the node NODE_ID no new jobs; it finishes those that it has.

    The scheduler returns at once. `voxpool nodes` shows when none runs there any more: then it may be stopped. Needs
    the token of an admin where there are tokens.
    """
    with reach.client() as client:
        write_table([client.drain(node_id, on=not off)], NODE_COLUMNS, as_json)
    return EXIT_DONE
