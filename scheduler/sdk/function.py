"""A worker node that is a function: `@worker(pairs=["zh:en"], slots=2)` above it, and `python -m mywork` runs it."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

import click

from voxpool.leakgate.terminal import say
from voxpool.scheduler.engines.engine import Batch, Work
from voxpool.scheduler.errors import ConfigError, VoxpoolError
from voxpool.scheduler.sdk.errors import Refused
from voxpool.scheduler.sdk.given import DEFAULT_URL, given_token
from voxpool.scheduler.sdk.wire.event_loop import new_event_loop
from voxpool.scheduler.sdk.worker_node import Worker

W = TypeVar("W")
R = TypeVar("R")

EXIT_FAILED = 1
EXIT_WRONG_INPUT = 3


class Decorator:
    """`@worker(pairs=["zh:en"])` for a function that takes a Work, `@worker.batch(…)` for one that takes a list.

    A plain function is called in threads, a coroutine function on the loop. `setup` is called before the node
    registers; when it raises, the node ends with that error and the exit code 1. `drain_s` is how long the jobs may
    take to end after SIGTERM. The function can still be called, for example by its tests.
    """

    def __call__(
        self, *, pairs: Sequence[str], slots: int = 1, drain_s: float = 60.0, setup: Callable[[], Any] | None = None
    ) -> Callable[[Callable[[Work], R]], WorkerApp[Work, R]]:
        """Make a function the work of a node that serves `pairs`, `slots` jobs at a time."""

        def decorate(function: Callable[[Work], R]) -> WorkerApp[Work, R]:
            return WorkerApp(function, function, pairs, slots, drain_s, setup)

        return decorate

    def batch(
        self,
        *,
        pairs: Sequence[str],
        max: int = 8,
        gather_ms: float = 10.0,
        drain_s: float = 60.0,
        setup: Callable[[], Any] | None = None,
    ) -> Callable[[Callable[[list[Work]], R]], WorkerApp[list[Work], R]]:
        """Make a function the work of a node that serves `pairs`, `max` jobs of one pair in each call.

        The function returns a list with one output for each job, or an exception in its place: see `Batch`. Raises
        ConfigError for a `max` or `gather_ms` out of range.
        """

        def decorate(function: Callable[[list[Work]], R]) -> WorkerApp[list[Work], R]:
            batch = Batch(function, max, gather_ms)
            return WorkerApp(function, batch, pairs, batch.slots, drain_s, setup)

        return decorate


worker = Decorator()


class WorkerApp(Generic[W, R]):
    """A function and the node that it is the work of; `engine` is how the node calls it."""

    is_worker_app = True
    """The mark by which `Worker` and `voxpool node --engine` know it."""

    def __init__(
        self,
        function: Callable[[W], R],
        engine: Callable[[Work], R] | Batch,
        pairs: Sequence[str],
        slots: int,
        drain_s: float,
        setup: Callable[[], Any] | None = None,
    ) -> None:
        self.function = function
        self.engine = engine
        self.setup = setup
        self.pairs = list(pairs)
        self.slots = slots
        self.drain_s = drain_s
        self.__doc__ = function.__doc__

    def __call__(self, work: W) -> R:
        """Call the function itself."""
        return self.function(work)

    def node(
        self,
        url: str | None = None,
        *,
        node_id: str | None = None,
        slots: int | None = None,
        token: str | None = None,
        ca_file: str | Path | None = None,
        health_port: int | None = None,
        health_host: str = "127.0.0.1",
        on_event: Callable[[str], None] = lambda text: None,
    ) -> Worker:
        """Return the Worker, to `run` it in a program of your own; its name is machine and process unless given."""
        return Worker(
            url,
            node_id=node_id or default_name(),
            pairs=self.pairs,
            work=self.engine,
            setup=self.setup,
            slots=slots or self.slots,
            token=token,
            ca_file=ca_file,
            drain_s=self.drain_s,
            health_port=health_port,
            health_host=health_host,
            on_event=on_event,
        )

    async def run(
        self,
        url: str | None = None,
        *,
        node_id: str | None = None,
        slots: int | None = None,
        token: str | None = None,
        ca_file: str | Path | None = None,
        health_port: int | None = None,
        health_host: str = "127.0.0.1",
        on_event: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Work until SIGTERM or SIGINT, then finish the running jobs, leave and return. A second signal ends at once.

        Raises Refused when the scheduler refuses this node, for example because another process took over its name
        while this one was stopped. When an engine is still at work then, the process ends with EXIT_FAILED and that
        error as its last event: it does not wait for a thread that may never return.
        """
        node = self.node(
            url,
            node_id=node_id,
            slots=slots,
            token=token,
            ca_file=ca_file,
            health_port=health_port,
            health_host=health_host,
            on_event=on_event,
        )
        try:
            await run_until_signalled(node)
        except Refused as refused:
            if node.idle:
                raise
            on_event(f"{refused}; an engine did not end, the process ends without it")
            end_now(EXIT_FAILED)
        if not node.idle:
            on_event("an engine did not end; the process ends without it")
            end_now(EXIT_FAILED)

    def main(self, arguments: Sequence[str] | None = None) -> None:
        """The command line of the node: --url, --token, --id, --slots, --health-port, …, or VOXPOOL_URL, …"""

        @click.command(help=self.__doc__ or "Run this worker node.")
        @click.option("--url", envvar="VOXPOOL_URL", default=DEFAULT_URL, show_default=True, help="The scheduler.")
        @click.option("--token", metavar="TOKEN|@FILE", help="The node's token, or @ and its file; else VOXPOOL_TOKEN.")
        @click.option("--id", "node_id", envvar="VOXPOOL_NODE_ID", help="The node's name  [default: machine-process]")
        @click.option(
            "--slots", type=click.IntRange(1, 1000), default=self.slots, show_default=True, help="Jobs at a time."
        )
        @click.option("--ca-file", envvar="VOXPOOL_CA_FILE", help="PEM file with the certificates to trust (wss).")
        @click.option(
            "--health-port",
            type=click.IntRange(0, 65535),
            help="Answer /healthz and /readyz (ready: it is registered).",
        )
        @click.option("--health-host", default="127.0.0.1", show_default=True, help="The address of that port.")
        def command(token: str | None, **options: Any) -> None:
            report, secret = functools.partial(say, err=True), given_token(token, "--token") or ""
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(self.run(token=secret, on_event=report, **options))

        try:
            command.main(args=arguments, standalone_mode=False)
        except click.ClickException as error:
            error.show()
            sys.exit(EXIT_WRONG_INPUT)
        except VoxpoolError as error:
            say(str(error), err=True)
            sys.exit(EXIT_WRONG_INPUT if isinstance(error, ConfigError) else EXIT_FAILED)
        sys.exit(0)


async def run_until_signalled(node: Worker) -> None:
    """Run `node`; SIGTERM or SIGINT drains it, a second one cuts it off. Raises Refused."""
    loop = asyncio.get_running_loop()
    running = asyncio.ensure_future(node.run())
    signals = 0

    def signalled() -> None:
        nonlocal signals
        signals += 1
        if signals == 1:
            node.stop()
        else:
            running.cancel()

    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, signalled)
    try:
        await asyncio.wait([running])
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
    if not running.cancelled():
        running.result()


def end_now(code: int) -> NoReturn:
    """End the process without waiting for the threads of engines, which the interpreter would do."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def default_name() -> str:
    """Return a name for a node of this process, in the form that ids have."""
    machine = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in socket.gethostname())
    return f"{machine[:48] or 'node'}-{os.getpid()}"
