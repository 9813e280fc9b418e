"""streaQ. Tuned: 64 jobs at a time. With its own bound of connections a client with 64 in flight stands still."""

import sys

import measure
from streaq import Worker

worker = Worker(
    redis_url=measure.URL,
    redis_kwargs={"max_connections": 512},
    **({"concurrency": 64} if measure.VARIANT == "tuned" else {}),
)


@worker.task(name="short")
async def short(audio):
    return measure.answer(audio)


async def client():
    async with worker:

        async def call():
            return (await (await short.enqueue(measure.AUDIO)).result(60)).result

        await measure.measure(call)


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        measure.become("streaq", "run", "streaq_queue:worker")
    measure.run(client())
