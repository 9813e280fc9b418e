"""SAQ. Tuned: 64 jobs at a time, the client looks every 5 ms."""

import base64
import contextlib
import sys

import measure
from saq import Queue
from saq.queue import JobError

TUNED = measure.VARIANT == "tuned"
queue = Queue.from_url(measure.URL, **({"max_concurrent_ops": 1024} if TUNED else {}))


async def short(_context, *, audio):
    return measure.answer(base64.b64decode(audio))


settings = {"queue": queue, "functions": [short], "concurrency": 64 if TUNED else 10}


async def client():
    await queue.connect()
    audio = base64.b64encode(measure.AUDIO).decode()
    poll = {"poll_interval": 0.005} if TUNED else {}

    async def call():
        return await queue.apply("short", audio=audio, **poll)

    with contextlib.suppress(JobError):  # a worker that starts sweeps away what it has just taken
        await call()
    await measure.measure(call)


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        measure.become("saq", "saq_queue.settings", "-q")
    measure.run(client())
