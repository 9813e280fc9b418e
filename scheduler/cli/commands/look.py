"""The commands that look at a running scheduler: its jobs, nodes and pools, and why a job went to its node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from voxpool.leakgate.terminal import say
from voxpool.scheduler import __version__
from voxpool.scheduler.cli.commands import completion
from voxpool.scheduler.cli.exits import EXIT_DONE, EXIT_FAILED
from voxpool.scheduler.cli.grouped import GroupedCommand
from voxpool.scheduler.cli.options import json_option
from voxpool.scheduler.cli.output import (
    NODE_COLUMNS,
    POOL_COLUMNS,
    PRIORITY_COLUMNS,
    job_line,
    write_json,
    write_lines,
    write_table,
)
from voxpool.scheduler.cli.reach import Reach, reach_options
from voxpool.scheduler.errors import VoxpoolError

if TYPE_CHECKING:
    from voxpool.scheduler.core.jobs.waiting import Standing
    from voxpool.scheduler.protocol.answers import JobView

JOB_STATES = click.Choice(["waiting", "dispatched", "completed", "failed", "cancelled"])


@click.command(cls=GroupedCommand)
@reach_options
@json_option
@click.option("--state", type=JOB_STATES, help="Only jobs in this state.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Jobs to list at most.")
@click.option("--watch", "-w", "is_watched", is_flag=True, help="Add a row for each change, until Ctrl-C.")
@click.argument("job_ids", nargs=-1, shell_complete=completion.jobs)
def jobs(reach: Reach, as_json: bool, state: str | None, limit: int, is_watched: bool, job_ids: tuple[str, ...]) -> int:
    """List the newest jobs, or show the jobs JOB_IDS with their outputs.

    With --watch, JOB_IDS are watched until all have ended; exit code 1 when one of them did not complete. The age
    counts from the submit.
    """
    from voxpool.scheduler.cli.job_table import JobTable, NewestJobs, watch
    from voxpool.scheduler.core.clock import SystemClock

    table = JobTable(as_json, SystemClock().now_ms)
    with reach.client() as client:
        newest = NewestJobs(client.jobs, limit, state or "")

        def look() -> Sequence[JobView]:
            return [client.job(job_id) for job_id in job_ids] if job_ids else newest.look()

        if is_watched:
            ended = watch(look, table, until_ended=bool(job_ids))
            return EXIT_DONE if all(job.state == "completed" for job in ended) else EXIT_FAILED
        if job_ids:
            table.write_whole(look())
        else:
            table.write(look())
    return EXIT_DONE


@click.command(cls=GroupedCommand)
@reach_options
@json_option
def nodes(reach: Reach, as_json: bool) -> int:
    """Show the connected nodes."""
    with reach.client() as client:
        rows = list(client.nodes())
    write_table(rows, NODE_COLUMNS, as_json)
    return EXIT_DONE


@click.command(cls=GroupedCommand)
@reach_options
@json_option
def pools(reach: Reach, as_json: bool) -> int:
    """Show the pools: the nodes of each language pair."""
    with reach.client() as client:
        rows = list(client.pools())
    write_table(rows, POOL_COLUMNS, as_json)
    return EXIT_DONE


@click.command(cls=GroupedCommand)
@reach_options
@json_option
@click.option("--top", type=click.IntRange(1, 100), default=10, show_default=True, help="Keys to name at most.")
def waiting(reach: Reach, as_json: bool, top: int) -> int:
    """Show whose jobs wait: by priority, and the keys (tokens, and keys of gateways) with most of them."""
    with reach.client() as client:
        found = client.waiting(top)
    if as_json:
        write_json(found)
        return EXIT_DONE
    write_table(found.priorities, PRIORITY_COLUMNS, as_json)
    say("")
    lines = [
        [one.key or "(no token)", str(one.waiting), f"{one.part:.1%}", ",".join(map(str, one.priorities))]
        for one in found.top
    ]
    write_lines([["key", "waiting", "part", "priorities"], *lines])
    if found.keys > len(found.top):
        say(f"{found.keys - len(found.top)} more keys wait")
    return EXIT_DONE


@click.command(cls=GroupedCommand)
@reach_options
@json_option
@click.argument("job_id", shell_complete=completion.jobs)
def why(reach: Reach, as_json: bool, job_id: str) -> int:
    """Show why the job JOB_ID went where it went, or waits: the decisions about it, and its pool as it is now."""
    import msgspec

    from voxpool.scheduler.core.why import tell
    from voxpool.scheduler.sentences import wrong
    from voxpool.scheduler.web.why import WhyView

    with reach.client() as client:
        answer = client.why(job_id)
    if as_json:
        write_json(answer)
        return EXIT_DONE
    try:
        view = msgspec.convert(answer, WhyView)
    except msgspec.ValidationError as error:
        raise VoxpoolError(
            f"the scheduler answers what version {__version__} can't read: {wrong(error).sentence}"
        ) from None
    say(job_line(view.job, as_json=False))
    if not view.followed:
        say("what was decided about it was not kept: submit with --why, or set why_every")
    elif view.dropped:
        say(f"{view.dropped} older decisions were dropped")
    for decision in view.decisions:
        say(tell(decision, view.job.submitted_ms))
    if view.waiting is not None:
        place = view.waiting
        say(
            f"priority {place.priority}: {place.higher_waiting} jobs of higher ones wait, {place.keys_ahead} keys have "
            f"their turn before, {place.key_waiting} jobs of its key wait"
        )
    if view.shared is not None:
        say(_standing_line(view.shared, view.job.submitted_ms, "pair" if view.waiting is None else "key"))
    where = "" if view.shared is None else " at this scheduler"
    states = ", ".join(f"{count} {name}" for name, count in msgspec.to_builtins(view.pool).items() if count)
    say(f"nodes of {view.job.pair}{where} now: {states.replace('_', ' ') or 'none'}")
    return EXIT_DONE


def _standing_line(standing: Standing, submitted_ms: int, line: str) -> str:
    if standing.state == "unknown":
        return "Redis does not answer, or does not know it yet: where it is now is unknown"
    if standing.state == "waits":
        left_s = (standing.waits_until_ms - submitted_ms) / 1000
        return (
            f"waits in Redis: {standing.ahead} jobs of its {line} come before it; "
            f"it fails {left_s:.3f} s after its submit if no node has taken it"
        )
    where = f" at the scheduler {standing.scheduler}" if standing.scheduler else ""
    return {"pauses": "pauses after a failed attempt", "runs": "runs", "ended": "has ended"}[standing.state] + where
