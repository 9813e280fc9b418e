"""The options that several commands have."""

from __future__ import annotations

import click

LOG_LEVELS = click.Choice(["debug", "info", "warning", "error"])

json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON, one object a line.")
log_option = click.option(
    "--log-level",
    envvar="VOXPOOL_LOG_LEVEL",
    type=LOG_LEVELS,
    default="info",
    show_default=True,
    help="The lowest level that is logged; else VOXPOOL_LOG_LEVEL.",
)
