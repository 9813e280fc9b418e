"""Completion in shells: the script for each, and what running schedulers know: jobs, nodes and pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

from voxpool.leakgate.terminal import say
from voxpool.scheduler.cli.reach import Reach, token_of

if TYPE_CHECKING:
    from voxpool.scheduler.sdk.http import HttpClient

VARIABLE = "_VOXPOOL_COMPLETE"
PATIENCE_S = 1.0
"""Time limit of a completion: the user waits at the prompt, so a slower scheduler offers no completions."""
JOBS_MAX = 50
WHERE = {"bash": "~/.bashrc", "zsh": "~/.zshrc", "fish": "~/.config/fish/completions/voxpool.fish"}


@click.command()
@click.argument("shell", type=click.Choice(list(WHERE)))
def completion(shell: str) -> None:
    """Write the script that completes voxpool's commands, options, jobs and nodes in SHELL.

    \b
    bash:  echo 'eval "$(voxpool completion bash)"' >> ~/.bashrc
    zsh:   echo 'eval "$(voxpool completion zsh)"' >> ~/.zshrc
    fish:  voxpool completion fish > ~/.config/fish/completions/voxpool.fish
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None, shell
    root = click.get_current_context().find_root()
    say(found(root.command, {}, "voxpool", VARIABLE).source())


def nodes(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Offer the connected nodes."""
    return _offer(context, begun, lambda client: (node.node_id for node in client.nodes()))


def jobs(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Offer the newest jobs."""
    return _offer(context, begun, lambda client: (job.job_id for job in client.jobs(JOBS_MAX)))


def _offer(context: click.Context, begun: str, ask: Callable[[HttpClient], Iterable[str]]) -> list[str]:
    """Return what the scheduler of the command line so far knows and begins with `begun`; nothing when it can't say."""
    from voxpool.scheduler.errors import VoxpoolError

    given = context.params
    try:
        reach = Reach(given.get("url"), token_of(given.get("token")), given.get("ca_file"))
        with reach.client(patience_s=PATIENCE_S) as client:
            return [name for name in ask(client) if name.startswith(begun)]
    except VoxpoolError:
        return []
