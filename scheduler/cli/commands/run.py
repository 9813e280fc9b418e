"""The commands that run a scheduler or a node. They end by SIGTERM or Ctrl-C."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from voxpool.leakgate.terminal import say
from voxpool.scheduler.cli.exits import EXIT_DONE, EXIT_FAILED
from voxpool.scheduler.cli.grouped import GroupedCommand
from voxpool.scheduler.cli.options import log_option
from voxpool.scheduler.cli.reach import Reach, reach_options
from voxpool.scheduler.cli.settings_options import WithSettings, load_settings, settings_files
from voxpool.scheduler.errors import ConfigError

if TYPE_CHECKING:
    from voxpool.scheduler.sdk.worker_node import Worker
    from voxpool.scheduler.telemetry.logs.log import Log


@click.command(cls=WithSettings)
@settings_files
@click.option("--print-config", is_flag=True, help="Print all settings as TOML, with their reasons, and exit.")
@log_option
def serve(config: Path | None, state_dir: Path | None, print_config: bool, log_level: str, **flags: Any) -> int:
    """Run a scheduler: clients and nodes connect to it.

    SIGTERM or Ctrl-C ends it once the running jobs are done, a second one at once. SIGHUP reads the token file and the
    certificate again, and closes the connections of removed tokens.
    """
    from voxpool.scheduler.config_sources import as_toml

    settings = load_settings(config, flags)
    if print_config:
        say(as_toml(settings), nl=False)
        return 0
    import uvloop

    from voxpool.scheduler.service.machine import Machine
    from voxpool.scheduler.service.serve import serve as run

    with _open_log(log_level, settings.log_buffer_bytes_max) as log:
        return uvloop.run(run(settings, log, Machine(state_dir)))


@click.command(cls=GroupedCommand)
@reach_options
@click.option("--id", "node_id", required=True, help="The node's name; no two connected nodes may share one.")
@click.option("--pairs", required=True, help="Language pairs, such as zh:en,en:zh.")
@click.option(
    "--slots", type=click.IntRange(1, 1000), help="Jobs at a time.  [default: 1; for @worker.batch 2 x its max]"
)
@click.option(
    "--engine",
    default="measure",
    show_default=True,
    metavar="NAME|MODULE:FUNCTION",
    help="measure, pocketsphinx (English; the extra voxpool[speech]), sleep:SECONDS, or your own function that "
    "takes a Work: mymodels.whisper:transcribe, looked for in the current folder first.",
)
@click.option("--drain-s", type=click.FloatRange(0), default=60.0, show_default=True, help="Time to finish at the end.")
@click.option(
    "--health-port", type=click.IntRange(0, 65535), help="Answer /healthz and /readyz (ready: it is registered)."
)
@click.option("--health-host", default="127.0.0.1", show_default=True, help="The address of that port; 0.0.0.0 = all.")
@log_option
def node(
    reach: Reach,
    node_id: str,
    pairs: str,
    slots: int | None,
    engine: str,
    drain_s: float,
    health_port: int | None,
    health_host: str,
    log_level: str,
) -> int:
    """Run a worker node until SIGTERM or Ctrl-C; then it finishes its jobs."""
    import uvloop

    from voxpool.scheduler.config import Settings
    from voxpool.scheduler.engines import open_engine
    from voxpool.scheduler.sdk.errors import Refused
    from voxpool.scheduler.sdk.function import end_now
    from voxpool.scheduler.sdk.worker_node import Worker
    from voxpool.scheduler.telemetry.logs.events import Event

    languages = [pair.strip() for pair in pairs.split(",") if pair.strip()]
    foreign = [pair for pair in languages if not pair.startswith("en:")]
    if engine == "pocketsphinx" and foreign:
        raise ConfigError(f"--pairs {','.join(foreign)}: the engine pocketsphinx knows English only, pairs en:…")
    work = open_engine(engine)
    with _open_log(log_level, Settings().log_buffer_bytes_max) as log:
        worker = Worker(
            reach.url,
            token=reach.token,
            ca_file=reach.ca_file,
            node_id=node_id,
            pairs=languages,
            work=work,
            slots=slots,
            drain_s=drain_s,
            health_port=health_port,
            health_host=health_host,
            on_event=lambda text: log(Event.WORKER, node_id=node_id, message=text),
        )
        try:
            uvloop.run(_run_worker(worker))
            refused = None
        except Refused as error:
            if worker.idle:
                raise
            refused = error
    if refused is not None:
        say(f"voxpool: {refused}", err=True)
    end_now(EXIT_DONE if refused is None else EXIT_FAILED)  # an engine may never return


async def _run_worker(worker: Worker) -> None:
    import asyncio
    import signal

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    await worker.run()


def _open_log(level: str, buffer_bytes_max: int) -> AbstractContextManager[Log]:
    from voxpool.scheduler.core.clock import SystemClock
    from voxpool.scheduler.telemetry.logs.log import log_to

    sys.stderr.flush()
    return log_to(sys.stderr.fileno(), SystemClock(), level, sys.stderr.isatty(), buffer_bytes_max)
