"""`voxpool-load options`: lists the options of `locust -f loadtest/` in addition to those of Locust.

Locust's --help can't show them: it prints its help before it loads any locustfile (locustio/locust#2917; still so in
2.47), and has no other hook for options. Its web form shows them.
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

    `locust -f loadtest/ --help` shows Locust's options only. Each of these is also an environment variable and a field
    of Locust's web form, except for secrets and options that name files or start processes.
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
