"""The command that makes a token: its secret is shown once and not kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from voxpool.leakgate.terminal import say
from voxpool.scheduler.cli.options import json_option
from voxpool.scheduler.cli.output import write_json
from voxpool.scheduler.security.caller import Role


@click.command()
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True, help="What it is for.")
@click.option(
    "--access-file",
    "file",
    type=click.Path(path_type=Path),
    envvar="VOXPOOL_ACCESS_FILE",
    help="The scheduler's token file; the token's hash is added there. Without it, the lines are shown.",
)
@click.option("--rate-per-s", type=float, help="Submits a second that it may make, in place of the setting rate_per_s.")
@click.option("--weight", type=float, default=1.0, help="Its part of the slots beside other tokens (order = fair).")
@click.option("--keys", is_flag=True, help="Its submits may name keys, which take turns: for a gateway (order = fair).")
@click.option("--priority-min", type=int, default=1, help="The least priority number of its submits; 1 comes first.")
@json_option
def token(name: str, role: str, file: Path | None, as_json: bool, **rights: Any) -> None:
    """Make a token for NAME and write it to standard output. Only its hash is kept.

    One NAME may have several tokens of one role: add the new one, distribute it, and delete the lines of the old one.
    """
    from voxpool.scheduler.security.tokens import append_token, entry_text, new_token

    secret, caller = new_token(name, Role(role), **rights)
    if file is not None:
        append_token(file, caller)
    if as_json:
        shown: dict[str, Any] = {"name": name, "role": role, "token": secret, "sha256": caller.digest}
        write_json({**shown, "file": None if file is None else str(file)})
        return
    say(secret)
    if file is None:
        say(f"Add this to the token file of the scheduler:\n\n{entry_text(caller)}", err=True)
    else:
        say(f"{file} makes it valid at the next start of the scheduler, or at its next SIGHUP.", err=True)
