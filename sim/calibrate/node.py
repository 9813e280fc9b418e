"""A worker node in a separate process, built as `voxpool node` builds it, whose work is a sleep of a given length.

Run as `python -m voxpool.sim.calibrate.node URL NODE_ID PAIR SLOTS`. The first bytes of the audio contain the length;
the result contains the times of start and end, read from a clock that all processes of one machine share.
"""

from __future__ import annotations

import asyncio
import signal
import struct
import sys

import uvloop

from voxpool.scheduler.core.clock import SystemClock
from voxpool.scheduler.sdk import Work, Worker

_HEAD = struct.Struct("<4sI4s4sId")
"""The header of a RIFF/WAVE file, and its first chunk, which holds the length of the work."""
DRAIN_S = 5.0


def pack(work_s: float, size: int) -> bytes:
    """Return a WAV file of `size` bytes (at least 28) that requests `work_s` seconds of work."""
    size = max(size, _HEAD.size)
    return _HEAD.pack(b"RIFF", size - 8, b"WAVE", b"work", size - 20, work_s).ljust(size, b"\0")


def wait(work: Work) -> dict[str, float]:
    """The engine: sleep for the time given in the audio; return its start and end, in seconds of the clock."""
    work_s = _HEAD.unpack_from(work.audio)[-1]
    clock = SystemClock()
    started_s = clock.seconds()
    work.cancelled.wait(work_s)
    return {"started_s": started_s, "ended_s": clock.seconds()}


async def serve(url: str, node_id: str, pair: str, slots: int) -> None:
    """Work until SIGTERM or Ctrl-C."""
    worker = Worker(url, node_id=node_id, pairs=[pair], work=wait, slots=slots, drain_s=DRAIN_S)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    await worker.run()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
