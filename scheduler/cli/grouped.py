"""Commands whose help lists many options in groups, each under a heading of its own.

click's own formatter is enough for that. rich-click does it, too, but is another dependency of every worker and makes
help slower.
"""

from __future__ import annotations

from typing import Any

import click

REST = "Options"
"""The heading of options that belong to no group."""


class GroupedOption(click.Option):
    """An option that stands under the heading `group`."""

    def __init__(self, *args: Any, group: str = REST, **options: Any) -> None:
        super().__init__(*args, **options)
        self.group = group


class GroupedCommand(click.Command):
    """A command whose help has a section for each group, those of no group first."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections, in the order in which the groups come."""
        sections: dict[str, list[tuple[str, str]]] = {REST: []}
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(option, "group", REST), []).append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)
