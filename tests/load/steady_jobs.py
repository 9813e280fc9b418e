"""A steady load of short jobs, by the SDK in a process of its own, so that it does not disturb the test.

`python -m tests.load.steady_jobs URL RATE` submits RATE jobs a second, evenly, until it is terminated.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import signal
import sys
import wave

from voxpool.scheduler.sdk import Client, Work, Worker


def wav_of(sound: bytes) -> bytes:
    """Return `sound`, 16 kHz mono 16 bit, as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, 16_000, 0, "NONE", ""))
        writer.writeframes(sound)
    return file.getvalue()


PAIR = "load:test"
NODES = 4
AUDIO = wav_of(bytes(2000))


async def _work(work: Work) -> dict[str, int]:
    await asyncio.sleep(0.01)
    return {"bytes": len(work.audio)}


async def _submit(client: Client) -> None:
    result = await client.submit(AUDIO, PAIR)
    if result.state != "completed":
        raise RuntimeError(f"a job ended as {result.state}: {result.error}")


async def run(url: str, rate_per_s: float) -> None:
    """Load the scheduler at `url`, for ever."""
    loop = asyncio.get_running_loop()
    workers = [Worker(url, node_id=f"steady-{n}", pairs=[PAIR], slots=8, work=_work) for n in range(NODES)]
    async with Client(url) as client, asyncio.TaskGroup() as group:
        for worker in workers:
            group.create_task(worker.run())
        next_s = loop.time()
        while True:
            group.create_task(_submit(client))
            next_s += 1 / rate_per_s
            await asyncio.sleep(max(0.0, next_s - loop.time()))


async def _main() -> None:
    task = asyncio.ensure_future(run(sys.argv[1], float(sys.argv[2])))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


if __name__ == "__main__":
    asyncio.run(_main())
