"""A node of a chaos run: a worker of a load test that writes each attempt to the ledger before it works on it.

Run as `python -m voxpool.loadtest.chaos._node URL ID PAIRS SLOTS LEDGER`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from voxpool.loadtest.chaos._entries import Finished, Started, Writer, now_s
from voxpool.loadtest.processes._node_process import serve, work
from voxpool.loadtest.users._audio import order_of
from voxpool.scheduler.sdk import Work

PING_S = 2.0
"""A connection that hangs must be noticed in a time that is short against the run."""


class NotedWork:
    """The work of a load test; the ledger has each attempt."""

    def __init__(self, ledger: Path, node_id: str) -> None:
        self._ledger = Writer(ledger)
        self._node_id = node_id

    async def __call__(self, job: Work) -> Any:
        """Work as the audio says, and return the answer to it."""
        order = order_of(job.audio)
        number = -1 if order is None else order.number
        self._ledger.write(Started(number, now_s(), job.job_id, job.attempt, self._node_id))
        output = await work(job)
        self._ledger.write(Finished(number, now_s(), job.job_id, job.attempt, self._node_id))
        return output


def log(event: str) -> None:
    """Write what the worker does to its log."""
    sys.stderr.write(f"{now_s():.3f} {event}\n")


if __name__ == "__main__":
    import uvloop

    url, node_id, pairs, slots, ledger = sys.argv[1:]
    uvloop.run(serve(url, node_id, pairs, slots, NotedWork(Path(ledger), node_id), PING_S, log))
