"""A worker node as a process of its own, built as `voxpool node` builds it, whose work is a wait of a given length.

Run as `python -m voxpool.sim.calibrate.node URL NODE_ID PAIR SLOTS`. The work stands in the first bytes of the audio;
the answer says when it began and ended, by a clock that all processes of one machine share.
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
"""The head of a RIFF/WAVE file, and a first chunk in it that holds the work."""
DRAIN_S = 5.0


def pack(work_s: float, size: int) -> bytes:
    """Return `size` bytes (28 at least) in the form of a WAV file, which ask for `work_s` seconds of work."""
    size = max(size, _HEAD.size)
    return _HEAD.pack(b"RIFF", size - 8, b"WAVE", b"work", size - 20, work_s).ljust(size, b"\0")


def wait(work: Work) -> dict[str, float]:
    """The engine: wait as long as the audio says; return when that began and ended, in seconds of the clock."""
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
