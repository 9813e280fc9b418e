"""docket. Tuned: 64 jobs at a time, a look each 5 ms, uvloop."""

import asyncio
import sys
from datetime import timedelta

import measure
from docket import Docket, Worker

TUNED = measure.VARIANT == "tuned"
OPTIONS = {"concurrency": 64, "minimum_check_interval": timedelta(milliseconds=5)} if TUNED else {}


async def short(audio: bytes) -> dict:
    return measure.answer(audio)


async def work(task):
    async with Docket(name="peer", url=measure.URL) as docket:
        docket.register(task)
        async with Worker(docket, **OPTIONS) as worker:
            await worker.run_forever()


async def client(task):
    async with Docket(name="peer", url=measure.URL) as docket:

        async def call():
            return await (await docket.add(task)(measure.AUDIO)).get_result()

        await measure.measure(call)


if __name__ == "__main__":
    from docket_queue import short as task

    if sys.argv[1] == "worker":
        (measure.run if TUNED else asyncio.run)(work(task))
    else:
        measure.run(client(task))
