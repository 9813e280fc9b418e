"""The command that finds what is wrong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from voxpool.leakgate.terminal import say
from voxpool.scheduler.cli.exits import EXIT_DONE, EXIT_FAILED
from voxpool.scheduler.cli.options import json_option
from voxpool.scheduler.cli.output import write_json
from voxpool.scheduler.cli.reach import Reach, reach_options
from voxpool.scheduler.cli.settings_options import WithSettings, load_settings, settings_files

if TYPE_CHECKING:
    from voxpool.scheduler.doctor.finding import Examination


@click.command(cls=WithSettings)
@reach_options
@json_option
@settings_files
def doctor(reach: Reach, as_json: bool, config: Path | None, state_dir: Path | None, **flags: Any) -> int:
    """Find what is wrong here, with a remedy for each.

    A running scheduler (at --url, or by the settings) is queried; the token of an admin shows most. If none runs, the
    address, the settings and the store that it would be started with are tried out: give the same options as to voxpool
    serve. With --store, that store is looked at in any case.

    Exit code 0: nothing is wrong; 1: something is; 3: wrong usage. With --json, each finding is a line with trouble,
    where, what and to_do.
    """
    from voxpool.scheduler.core.clock import SystemClock
    from voxpool.scheduler.doctor.examine import Patient, examine

    patient = Patient(
        load_settings(config, flags),
        state_dir,
        reach.url or os.environ.get("VOXPOOL_URL") or None,
        reach.token or None,
        reach.ca_file,
        look_at_store=flags["set_store"] is not None,
    )
    examination = examine(patient, SystemClock().now_ms)
    for finding in examination.findings:
        if as_json:
            write_json(finding)
        else:
            say(f"{finding.trouble}: {finding.where}\n  {finding.what}\n  -> {finding.to_do}")
    if not as_json:
        _conclude(examination)
    return EXIT_FAILED if examination.findings else EXIT_DONE


def _conclude(examination: Examination) -> None:
    count = len(examination.findings)
    say(f"{count or 'nothing'} wrong; looked at {', '.join(examination.looked_at) or 'nothing'}")
    for note in examination.notes:
        say(f"note: {note}")
    for left_out in examination.left_out:
        say(f"not looked at: {left_out}")
