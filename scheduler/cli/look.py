"""The commands that look at a running scheduler: its jobs, nodes and pools, and why a job went where it went."""

from __future__ import annotations

from typing import Any

import click

from scheduler.cli.options import json_option, url_option
from scheduler.cli.output import job_line, write_table

JOB_STATES = click.Choice(["waiting", "dispatched", "completed", "failed", "cancelled"])


@click.command()
@url_option
@json_option
@click.option("--state", type=JOB_STATES, help="Only jobs in this state.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Jobs to list at most.")
@click.argument("job_ids", nargs=-1)
def jobs(url: str | None, as_json: bool, state: str | None, limit: int, job_ids: tuple[str, ...]) -> int:
    """Show the jobs JOB_IDS, or list the newest ones."""
    from scheduler.sdk.http import HttpClient

    with HttpClient(url) as client:
        for job in [client.job(job_id) for job_id in job_ids] if job_ids else client.jobs(limit, state or ""):
            click.echo(job_line(job, as_json))
    return 0


@click.command()
@url_option
@json_option
def nodes(url: str | None, as_json: bool) -> int:
    """Show the connected nodes."""
    from scheduler.sdk.http import HttpClient

    with HttpClient(url) as client:
        rows: list[dict[str, Any]] = []
        path: str | None = "/v1/nodes"
        while path is not None:
            page = client.show(path)
            rows += page["nodes"]
            path = f"/v1/nodes?cursor={page['next_cursor']}" if page["next_cursor"] else None
    write_table(rows, ["node_id", "state", "running", "slots", "pairs"], as_json)
    return 0


@click.command()
@url_option
@json_option
def pools(url: str | None, as_json: bool) -> int:
    """Show the pools: the nodes of each language pair."""
    from scheduler.sdk.http import HttpClient

    with HttpClient(url) as client:
        rows = client.show("/v1/pools")["pools"]
    write_table(rows, ["pair", "nodes", "running", "slots", "waiting"], as_json)
    return 0


@click.command()
@url_option
@json_option
@click.argument("job_id")
def why(url: str | None, as_json: bool, job_id: str) -> int:
    """Tell why the job JOB_ID went where it went, or waits: what was decided about it, and how its pool is now."""
    import msgspec

    from scheduler.sdk.http import HttpClient
    from scheduler.web.why import WhyView
    from scheduler.why import tell

    with HttpClient(url) as client:
        answer = client.show(f"/v1/jobs/{job_id}/why")
    if as_json:
        click.echo(msgspec.json.encode(answer))
        return 0
    view = msgspec.convert(answer, WhyView)
    click.echo(job_line(view.job, as_json=False))
    if not view.followed:
        click.echo("what was decided about it was not kept: submit with --why, or set why_every")
    elif view.dropped:
        click.echo(f"{view.dropped} older decisions were dropped")
    for decision in view.decisions:
        click.echo(tell(decision, view.job.submitted_ms))
    states = ", ".join(f"{count} {name}" for name, count in msgspec.to_builtins(view.pool).items() if count)
    click.echo(f"nodes of {view.job.pair} now: {states.replace('_', ' ') or 'none'}")
    return 0
