"""A store that accepts connections and never answers: the start reports it, and a stop ends in its promised time."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.e2e.command_line import voxpool
from tests.e2e.ledger import Ledger
from tests.e2e.processes import Scheduler, descendants_of, runs
from tests.servers import redis_server

DRAIN_S, STOP_S = 1.0, 1.0
BUSY_MACHINE_S = 2.5
"""Time of a process to end beyond its limits; releasing a claim to a hanging store used to take five seconds."""


def test_a_failed_start_names_its_operation_and_duration() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        ran = voxpool("serve", "--port", "0", "--store", url)
    assert ran.returncode != 0
    assert f"{url}: no answer to PING within 5 s" in ran.stderr


@pytest.mark.parametrize("kind", ["redis", "embedded"])
async def test_a_stop_ends_in_time_although_the_store_hangs(tmp_path: Path, kind: str) -> None:
    """Jobs have drain_s; connections, the store and the claim share stop_s. The guard of a store hangs with it."""
    with redis_server() as server:
        flags = ("--drain-s", f"{DRAIN_S:g}", "--stop-s", f"{STOP_S:g}")
        store = server.url if kind == "redis" else "embedded"
        scheduler = await asyncio.to_thread(Scheduler, tmp_path, store, *flags)
        ledger = Ledger(scheduler, every_s=1)
        async with ledger.http:
            await ledger.submit()
            stopped = [server.pid] if kind == "redis" else descendants_of(scheduler.pid)
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)
            began_s = time.monotonic()
            scheduler.signal(signal.SIGTERM)
            code = await asyncio.to_thread(scheduler.end)
            took_s = time.monotonic() - began_s
            for pid in filter(runs, stopped):
                os.kill(pid, signal.SIGCONT)
    assert code == 0 and took_s < DRAIN_S + STOP_S + BUSY_MACHINE_S
    assert scheduler.events("scheduler_stopped")[0]["handed_back"] == 1
