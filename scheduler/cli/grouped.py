"""Help that lists many commands, or many options of a command, in groups, each under a heading of its own.

click's own formatter is enough for that. rich-click does it, too, but is another dependency of every worker and makes
help slower.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

REST = "Options"
"""The heading of options that belong to no group."""
SENTENCE_MAX = 200
"""Letters of the sentence beside a command's name; click's own bound is the rest of the line, and cuts most of them."""


class GroupedCommands(click.Group):
    """A group of commands whose help has a section for each of `headings`, which name commands; the rest comes last."""

    def __init__(
        self, *args: Any, headings: Mapping[str, Sequence[str]], rest: str = "Commands", **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._headings = headings
        self._rest = rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections, with the first sentence of each command's help."""
        named = [name for names in self._headings.values() for name in names]
        rest = [name for name in self.list_commands(ctx) if name not in named]
        for heading, names in {**self._headings, self._rest: rest}.items():
            commands = {name: self.get_command(ctx, name) for name in names}
            records = [(name, found.get_short_help_str(SENTENCE_MAX)) for name, found in commands.items() if found]
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


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
            if record is not None and isinstance(option, click.Option):  # arguments are in the usage line
                sections.setdefault(getattr(option, "group", REST), []).append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)
