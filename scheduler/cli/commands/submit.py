"""The command that submits audio files as jobs, many at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from voxpool.scheduler.cli.exits import EXIT_DONE, EXIT_FAILED
from voxpool.scheduler.cli.grouped import GroupedCommand
from voxpool.scheduler.cli.options import json_option
from voxpool.scheduler.cli.output import job_line, json_line
from voxpool.scheduler.cli.progress import Progress, progress
from voxpool.scheduler.cli.reach import Reach, reach_options
from voxpool.scheduler.config import ATTEMPTS_LIMIT, BACKOFF_MS_LIMIT, PRIORITY_MAX
from voxpool.scheduler.errors import ConfigError

if TYPE_CHECKING:
    from voxpool.scheduler.protocol.answers import JobView
    from voxpool.scheduler.protocol.messages import JobResult
    from voxpool.scheduler.sdk.errors import SubmitRejected


@click.command(cls=GroupedCommand)
@reach_options
@click.option("--pair", required=True, help="The language pair, such as en:en.")
@click.option("--wait", is_flag=True, help="Wait for the results; Ctrl-C cancels unfinished jobs.")
@click.option(
    "--timeout-s",
    type=click.FloatRange(0, min_open=True),
    default=120.0,
    show_default=True,
    help="With --wait: the longest wait, in all; unfinished jobs are cancelled then.",
)
@click.option(
    "--at-most", type=click.IntRange(1, 1000), default=32, show_default=True, help="Files in flight at a time."
)
@click.option("--why", is_flag=True, help="Keep the decisions about each job, for voxpool why JOB.")
@click.option(
    "--attempts-max",
    type=click.IntRange(1, ATTEMPTS_LIMIT),
    help="Attempts that may fail or be lost before a job fails  [default: the setting of the scheduler]",
)
@click.option(
    "--backoff-s",
    type=click.FloatRange(0, BACKOFF_MS_LIMIT / 1000),
    help="Pause after a worker's error, doubling each time  [default: the setting of the scheduler]",
)
@click.option(
    "--priority",
    type=click.IntRange(1, PRIORITY_MAX),
    help="1 comes first; it counts when the scheduler's order is fair  [default: 3]",
)
@click.option("--key", help="Whose turn the jobs take, for a token that may name keys.")
@json_option
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def submit(
    reach: Reach,
    pair: str,
    wait: bool,
    timeout_s: float,
    at_most: int,
    why: bool,
    attempts_max: int | None,
    backoff_s: float | None,
    priority: int | None,
    key: str | None,
    as_json: bool,
    files: tuple[Path, ...],
) -> int:
    """Submit WAV FILES as jobs, and show each as it is accepted or, with --wait, as it ends.

    Exit code 1 when one of them is refused or, with --wait, does not complete. With --wait, a job that is refused
    because the scheduler is full is submitted again, until the wait is over.
    """
    for file in files:
        _read(file, 1)
    options = _Options(why, attempts_max, None if backoff_s is None else round(1000 * backoff_s), priority, key)
    with progress(pair, len(files)) as shown:
        teller = _Teller(shown, pair, as_json)
        if wait:
            asyncio.run(_submit_and_wait(reach, pair, timeout_s, at_most, options, files, teller))
        else:
            _submit(reach, pair, at_most, options, files, teller)
    return EXIT_DONE if teller.all_well else EXIT_FAILED


class _Options(NamedTuple):
    """The options of each submit; None = the setting of the scheduler."""

    why: bool
    attempts_max: int | None
    backoff_ms: int | None
    priority: int | None
    key: str | None


class _Teller:
    """Writes the outcome of each file. `all_well` is False after one that was refused or did not complete."""

    def __init__(self, shown: Progress, pair: str, as_json: bool) -> None:
        self.all_well = True
        self._shown = shown
        self._pair = pair
        self._as_json = as_json

    def job(self, file: Path, job: JobView | JobResult) -> None:
        """Write a job."""
        self.all_well &= job.times_ms is None or job.state == "completed"
        self._shown.say(job_line(job, self._as_json, file, self._pair))
        self._shown.advance()

    def refused(self, file: Path, refused: SubmitRejected) -> None:
        """Write a file that did not become a job."""
        after_ms = refused.retry_after_ms
        advice = "" if after_ms is None else f"; retry after {max(1, round(after_ms / 1000))} s"
        text = f"refused: {refused}{advice}"
        self._none(file, "rejected", refused.reason, text, detail=refused.detail, retryable=refused.retryable)

    def not_ended(self, file: Path, timeout_s: float) -> None:
        """Write a job that did not end in time."""
        self._none(file, "cancelled", "no_result_in_time", f"no result within {timeout_s:g} s, so it is cancelled")

    def _none(self, file: Path, state: str, error: str, text: str, **fields: str | bool) -> None:
        self.all_well = False
        self._shown.complain(f"{file}: {text}")
        if self._as_json:
            line = {"file": str(file), "state": state, "pair": self._pair, "error": error, **fields}
            self._shown.say(json_line(line))
        self._shown.advance()


def _submit(reach: Reach, pair: str, at_most: int, options: _Options, files: Sequence[Path], teller: _Teller) -> None:
    """Submit over HTTP: jobs of a WebSocket would be cancelled when the command ends."""
    from voxpool.scheduler.sdk.errors import SubmitRejected

    with reach.client() as client, ThreadPoolExecutor(min(at_most, len(files))) as threads:

        def post(file: Path) -> JobView | SubmitRejected:
            try:
                return client.submit(_read(file), pair, **options._asdict())
            except SubmitRejected as rejected:
                return rejected

        for file, answer in zip(files, threads.map(post, files), strict=True):
            if isinstance(answer, SubmitRejected):
                teller.refused(file, answer)
            else:
                teller.job(file, answer)


async def _submit_and_wait(
    reach: Reach, pair: str, timeout_s: float, at_most: int, options: _Options, files: Sequence[Path], teller: _Teller
) -> None:
    """Submit over one WebSocket, which survives a restart of the scheduler, and write the results as they come."""
    from voxpool.scheduler.sdk.client import Client

    with reach.client() as http:
        http.show("/healthz")  # an error that repetition can't mend is written at once
    left = dict(enumerate(files))
    client = Client(reach.url, token=reach.token, ca_file=reach.ca_file, give_up_s=timeout_s, retry_s=timeout_s)
    answers = client.map((_read(file) for file in files), pair, at_most=at_most, **options._asdict())
    try:
        async with asyncio.timeout(timeout_s), client, aclosing(answers):
            async for done in answers:
                file = left.pop(done.index)
                if done.rejected is not None:
                    teller.refused(file, done.rejected)
                elif done.result is not None:
                    teller.job(file, done.result)
    except TimeoutError:
        for file in left.values():
            teller.not_ended(file, timeout_s)


def _read(file: Path, bytes_max: int = -1) -> bytes:
    """Return what is in `file`, or its first `bytes_max` bytes. Raises ConfigError."""
    try:
        with file.open("rb") as opened:
            return opened.read(bytes_max)
    except OSError as error:
        raise ConfigError(f"{file}: can't be read: {error.strerror}") from None
