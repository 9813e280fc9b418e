"""A worker node process for chaos to kill: the SDK's worker, whose work is given by the audio of a load test.

Run as `python -m voxpool.loadtest.processes._node_process URL ID PAIRS SLOTS`; the token is read from VOXPOOL_TOKEN.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from voxpool.loadtest.users._audio import answer_to, order_of
from voxpool.scheduler.sdk import Work, Worker
from voxpool.scheduler.sdk.wire.connection import PING_S


async def work(job: Work) -> Any:
    """Wait for the time given in the audio, and answer as a node user does."""
    order = order_of(job.audio)
    if order is not None:
        await asyncio.sleep(order.work_s)
    return msgspec.to_builtins(answer_to(job.audio, order))


async def serve(
    url: str,
    node_id: str,
    pairs: str,
    slots: str,
    work: Callable[[Work], Awaitable[Any]] = work,
    ping_s: float = PING_S,
    on_event: Callable[[str], None] = lambda text: None,
) -> None:
    """Serve until SIGTERM. `ping_s` and `on_event` are those of Worker."""
    ca_file = os.environ.get("VOXPOOL_CA_FILE") or None
    worker = Worker(
        url,
        node_id=node_id,
        pairs=pairs.split(","),
        slots=int(slots),
        ca_file=ca_file,
        work=work,
        drain_s=1.0,
        ping_s=ping_s,
        on_event=on_event,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, worker.stop)
    await worker.run()


if __name__ == "__main__":
    url, node_id, pairs, slots = sys.argv[1:]
    asyncio.run(serve(url, node_id, pairs, slots))
