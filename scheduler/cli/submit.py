"""The command that submits audio files as jobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from scheduler.cli.exits import EXIT_FAILED
from scheduler.cli.options import json_option
from scheduler.cli.output import job_line
from scheduler.cli.reach import Reach, reach_options
from scheduler.errors import ConfigError

if TYPE_CHECKING:
    from scheduler.web.views import JobView

POLL_S = 30.0


@click.command()
@reach_options
@click.option("--pair", required=True, help="The language pair, such as en:en.")
@click.option("--wait", is_flag=True, help="Wait for the results.")
@click.option("--timeout-s", type=click.FloatRange(0), default=120.0, show_default=True, help="Longest wait, in all.")
@click.option("--why", is_flag=True, help="Keep why each job goes where it goes: voxpool why JOB tells.")
@json_option
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def submit(
    reach: Reach, pair: str, wait: bool, timeout_s: float, why: bool, as_json: bool, files: tuple[Path, ...]
) -> int:
    """Submit WAV FILES as jobs. Exit code 1 when one of them is refused or, with --wait, does not complete."""
    from scheduler.sdk.errors import SubmitRejected

    audios = [_read(file) for file in files]
    jobs: list[tuple[Path, JobView]] = []
    refused = False
    with reach.client() as client:
        for file, audio in zip(files, audios, strict=True):
            try:
                jobs.append((file, client.submit(audio, pair, why=why)))
            except SubmitRejected as rejected:
                refused = True
                click.echo(f"{file}: refused: {rejected}", err=True)
        left_s = timeout_s
        for number, (file, job) in enumerate(jobs):
            while wait and job.times_ms is None and left_s > 0:
                job = client.job(job.job_id, wait_s=min(left_s, POLL_S))
                left_s -= POLL_S if job.times_ms is None else 0.0
            jobs[number] = (file, job)
            click.echo(job_line(job, as_json, file))
    completed = all(job.state == "completed" for _, job in jobs)
    return EXIT_FAILED if refused or (wait and not completed) else 0


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: can't be read: {error.strerror}") from None
