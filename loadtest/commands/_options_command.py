"""`voxpool-load options`: what `locust -f loadtest/` takes beyond Locust's own options.

Locust's --help can't show them: it prints its help before it loads any locustfile (locustio/locust#2917; so still in
2.47), and has no other place where options could be added. Its form does show them.
"""

from __future__ import annotations

import click

from voxpool.leakgate.terminal import say
from voxpool.loadtest.options._options import GROUPS, ON_THE_COMMAND_LINE
from voxpool.loadtest.options._options_shown import described

WIDTH = 118


@click.command()
def options() -> None:
    """List the options of `locust -f loadtest/`, by group.

    `locust -f loadtest/ --help` shows Locust's own options alone. Each of these is also an environment variable, and,
    but for secrets and what names files or starts processes, a field in the form of Locust's page.
    """
    formatter = click.HelpFormatter(width=WIDTH, max_width=WIDTH)
    for group, title in GROUPS.items():
        with formatter.section(title):
            formatter.write_dl(
                [
                    (f"{one.flag} {one.metavar}".rstrip(), f"{one.text} [{one.variable}]{_where(one.name)}")
                    for one in described()
                    if one.group == group
                ],
                col_max=30,
            )
    say(formatter.getvalue(), nl=False)


def _where(name: str) -> str:
    return " Not on the page." if name in ON_THE_COMMAND_LINE else ""
