"""A scheduler raises its limit of open files as needed, and reports when the machine allows fewer."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tests.e2e.bare_peer import BarePeer, Gone, client
from tests.e2e.processes import Scheduler
from tests.e2e.test_processes import started
from voxpool.scheduler.protocol.messages import Hello, Welcome
from voxpool.scheduler.service.open_files import BESIDE_CONNECTIONS, wanted

CONNECTIONS = 20
SOFT, HARD = 48, CONNECTIONS + BESIDE_CONNECTIONS


class Confined(Scheduler):
    """A scheduler with a hard limit of HARD open files and a soft limit of SOFT."""

    program = ("prlimit", f"--nofile={SOFT}:{HARD}", *Scheduler.program)


async def test_a_low_limit_of_open_files_lowers_connections_max_and_is_reported(folder: Path) -> None:
    """Connections past it are rejected with a reason; everything else, the store included, can still be opened."""
    with started(Confined(folder, "embedded")) as scheduler:
        (event,) = scheduler.events("few_open_files")
        reported = {name: event[name] for name in ("level", "allowed", "wanted", "connections_max")}
        assert reported == {
            "level": "warning",
            "allowed": HARD,
            "wanted": wanted(50_000),
            "connections_max": CONNECTIONS,
        }
        await _greeted(scheduler, CONNECTIONS)
        assert scheduler.get("/readyz") == {"status": "ready"}


async def test_the_limit_is_raised_as_far_as_needed(folder: Path) -> None:
    with started(Confined(folder, "embedded", "--connections-max", str(CONNECTIONS))) as scheduler:
        assert scheduler.events("few_open_files") == []
        await _greeted(scheduler, CONNECTIONS)


async def _greeted(scheduler: Scheduler, count: int) -> None:
    """Check that `count` sessions can be open at the same time, and not one more."""
    peers: list[BarePeer] = []
    with contextlib.ExitStack() as closing:
        for number in range(count):
            peers.append(await client(scheduler.port))
            closing.callback(peers[-1].end)
            peers[-1].send_message(Hello(session_id=f"s-{number}"))
            await peers[-1].answer(Welcome)
        with pytest.raises(Gone, match="503 "):
            await client(scheduler.port)
