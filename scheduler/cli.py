"""The command `voxpool`. Heavy imports are inside the commands, so that --help and short commands start quickly.

Exit codes: 0 done, 1 it did not work, 3 wrong input (usage errors, too). Errors are one line on standard error.
"""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scheduler import __version__
from scheduler.errors import ConfigError, VoxpoolError

if TYPE_CHECKING:
    from scheduler.sdk.worker_node import Worker
    from scheduler.telemetry.logs import Log
    from scheduler.web.views import JobView

EXIT_FAILED = 1
EXIT_WRONG_INPUT = 3
EXIT_INTERRUPTED = 130
DEFAULT_URL = "http://127.0.0.1:5010"
POLL_S = 30.0
JOB_STATES = click.Choice(["waiting", "dispatched", "completed", "failed", "cancelled"])
LOG_LEVELS = click.Choice(["debug", "info", "warning", "error"])

url_option = click.option(
    "--url", envvar="VOXPOOL_URL", default=DEFAULT_URL, show_default=True, help="Where the scheduler is."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON, one object a line.")
log_option = click.option("--log-level", envvar="VOXPOOL_LOG_LEVEL", type=LOG_LEVELS, default="info", show_default=True)


def main() -> None:
    """Run the command line and exit."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(EXIT_WRONG_INPUT)
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        command = context.command_path if context else "voxpool"
        click.echo(f"{command}: {error.format_message()} (see {command} --help)", err=True)
        sys.exit(EXIT_WRONG_INPUT)
    except ConfigError as error:
        click.echo(f"voxpool: {error}", err=True)
        sys.exit(EXIT_WRONG_INPUT)
    except VoxpoolError as error:
        click.echo(f"voxpool: {error}", err=True)
        sys.exit(EXIT_FAILED)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="voxpool")
def cli() -> None:
    """A scheduler for speech jobs on a pool of worker nodes."""


class _WithSettings(click.Command):
    """A command that has an option for each setting; they are looked up only when it is used."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options of the command and those of the settings."""
        from scheduler.config_sources import flag_types

        options: list[click.Parameter] = [
            click.Option([f"--{name.replace('_', '-')}", f"set_{name}"], type=kind, help=help_text)
            for name, kind, help_text in flag_types()
        ]
        return [*super().get_params(ctx), *options]


@cli.command(cls=_WithSettings)
@click.option("--config", type=click.Path(path_type=Path), envvar="VOXPOOL_CONFIG", help="A TOML file of settings.")
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="VOXPOOL_STATE_DIR",
    help="Where the embedded store keeps its files; a temporary folder unless given.",
)
@click.option("--print-config", is_flag=True, help="Print all settings as TOML, with their reasons, and exit.")
@log_option
def serve(config: Path | None, state_dir: Path | None, print_config: bool, log_level: str, **flags: Any) -> int:
    """Run a scheduler: clients and nodes connect to it."""
    from scheduler.config_sources import as_toml, load

    given = {name.removeprefix("set_"): value for name, value in flags.items()}
    settings = load(config, os.environ, given)
    if print_config:
        click.echo(as_toml(settings), nl=False)
        return 0
    import uvloop

    from scheduler.serve import serve as run

    with _open_log(log_level, settings.log_buffer_bytes_max) as log:
        return uvloop.run(run(settings, log, state_dir))


@cli.command()
@url_option
@click.option("--id", "node_id", required=True, help="The node's name; no two connected nodes may share one.")
@click.option("--pairs", required=True, help="Language pairs, such as zh:en,en:zh.")
@click.option("--slots", type=click.IntRange(1, 1000), default=1, show_default=True, help="Jobs at a time.")
@click.option(
    "--engine",
    default="measure",
    show_default=True,
    help="measure, pocketsphinx (English; the extra voxpool[speech]) or sleep:SECONDS.",
)
@click.option("--drain-s", type=click.FloatRange(0), default=60.0, show_default=True, help="Time to finish at the end.")
@log_option
def node(url: str, node_id: str, pairs: str, slots: int, engine: str, drain_s: float, log_level: str) -> int:
    """Run a worker node until SIGTERM or Ctrl-C; then it finishes what it has."""
    import uvloop

    from scheduler.config import Settings
    from scheduler.engines import open_engine
    from scheduler.sdk.worker_node import Worker
    from scheduler.telemetry.events import Event

    languages = [pair.strip() for pair in pairs.split(",") if pair.strip()]
    foreign = [pair for pair in languages if not pair.startswith("en:")]
    if engine == "pocketsphinx" and foreign:
        raise ConfigError(f"--pairs {','.join(foreign)}: the engine pocketsphinx knows English only, pairs en:…")
    work = open_engine(engine)
    with _open_log(log_level, Settings().log_buffer_bytes_max) as log:
        worker = Worker(
            url,
            node_id=node_id,
            pairs=languages,
            work=work,
            slots=slots,
            drain_s=drain_s,
            on_event=lambda text: log(Event.WORKER, node_id=node_id, message=text),
        )
        uvloop.run(_run_worker(worker))
    os._exit(0)  # an engine that never returns must not keep the process alive


async def _run_worker(worker: Worker) -> None:
    import asyncio
    import signal

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    await worker.run()


@cli.command()
@url_option
@click.option("--pair", required=True, help="The language pair, such as en:en.")
@click.option("--wait", is_flag=True, help="Wait for the results.")
@click.option("--timeout-s", type=click.FloatRange(0), default=120.0, show_default=True, help="Longest wait, in all.")
@click.option("--why", is_flag=True, help="Keep why each job goes where it goes: voxpool why JOB tells.")
@json_option
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def submit(url: str, pair: str, wait: bool, timeout_s: float, why: bool, as_json: bool, files: tuple[Path, ...]) -> int:
    """Submit WAV FILES as jobs. Exit code 1 when one of them is refused or, with --wait, does not complete."""
    from scheduler.sdk.errors import SubmitRejected
    from scheduler.sdk.http import HttpClient

    audios = [_read(file) for file in files]
    jobs: list[tuple[Path, JobView]] = []
    refused = False
    with HttpClient(url) as client:
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
            click.echo(_job_line(job, as_json, file))
    completed = all(job.state == "completed" for _, job in jobs)
    return EXIT_FAILED if refused or (wait and not completed) else 0


@cli.command()
@url_option
@json_option
@click.option("--state", type=JOB_STATES, help="Only jobs in this state.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Jobs to list at most.")
@click.argument("job_ids", nargs=-1)
def jobs(url: str, as_json: bool, state: str | None, limit: int, job_ids: tuple[str, ...]) -> int:
    """Show the jobs JOB_IDS, or list the newest ones."""
    from scheduler.sdk.http import HttpClient

    with HttpClient(url) as client:
        for job in [client.job(job_id) for job_id in job_ids] if job_ids else client.jobs(limit, state or ""):
            click.echo(_job_line(job, as_json))
    return 0


@cli.command()
@url_option
@json_option
def nodes(url: str, as_json: bool) -> int:
    """Show the connected nodes."""
    from scheduler.sdk.http import HttpClient

    with HttpClient(url) as client:
        rows: list[dict[str, Any]] = []
        path: str | None = "/v1/nodes"
        while path is not None:
            page = client.show(path)
            rows += page["nodes"]
            path = f"/v1/nodes?cursor={page['next_cursor']}" if page["next_cursor"] else None
    _table(rows, ["node_id", "state", "running", "slots", "pairs"], as_json)
    return 0


@cli.command()
@url_option
@json_option
def pools(url: str, as_json: bool) -> int:
    """Show the pools: the nodes of each language pair."""
    from scheduler.sdk.http import HttpClient

    with HttpClient(url) as client:
        rows = client.show("/v1/pools")["pools"]
    _table(rows, ["pair", "nodes", "running", "slots", "waiting"], as_json)
    return 0


@cli.command()
@url_option
@json_option
@click.argument("job_id")
def why(url: str, as_json: bool, job_id: str) -> int:
    """Tell why the job JOB_ID went where it went, or waits: what was decided about it, and how its pool is now."""
    import msgspec

    from scheduler.sdk.http import HttpClient
    from scheduler.web.why import WhyView
    from scheduler.why import tell

    with HttpClient(url) as client:
        answer = client.show(f"/v1/jobs/{job_id}/why")
    if as_json:
        click.echo(msgspec.json.encode(answer))
        return 0
    view = msgspec.convert(answer, WhyView)
    click.echo(_job_line(view.job, as_json=False))
    if not view.followed:
        click.echo("what was decided about it was not kept: submit with --why, or set why_every")
    elif view.dropped:
        click.echo(f"{view.dropped} older decisions were dropped")
    for decision in view.decisions:
        click.echo(tell(decision, view.job.submitted_ms))
    states = ", ".join(f"{count} {name}" for name, count in msgspec.to_builtins(view.pool).items() if count)
    click.echo(f"nodes of {view.job.pair} now: {states.replace('_', ' ') or 'none'}")
    return 0


def _job_line(job: JobView, as_json: bool, file: Path | None = None) -> str:
    import msgspec

    if as_json:
        fields = msgspec.to_builtins(job)
        return msgspec.json.encode({"file": str(file), **fields} if file else fields).decode()
    words = [str(file)] if file else []
    words += [job.job_id, job.state, f"attempts={job.attempts}"]
    if job.times_ms is not None:
        words.append(f"total_ms={job.times_ms.total}")
    if job.error:
        words.append(f"error={job.error}")
    if job.output is not None:
        words.append(msgspec.json.encode(job.output).decode())
    return "  ".join(words)


def _table(rows: list[dict[str, Any]], columns: list[str], as_json: bool) -> None:
    if as_json:
        import msgspec

        for row in rows:
            click.echo(msgspec.json.encode(row))
        return
    lines = [columns]
    for row in rows:
        lines.append([",".join(row[name]) if isinstance(row[name], list) else str(row[name]) for name in columns])
    widths = [max(len(line[number]) for line in lines) for number in range(len(columns))]
    for line in lines:
        click.echo("  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip())


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: can't be read: {error.strerror}") from None


def _open_log(level: str, buffer_bytes_max: int) -> AbstractContextManager[Log]:
    from scheduler.clock import SystemClock
    from scheduler.telemetry.logs import log_to

    sys.stderr.flush()
    return log_to(sys.stderr.fileno(), SystemClock(), level, sys.stderr.isatty(), buffer_bytes_max)
