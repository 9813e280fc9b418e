"""FastStream over a Redis list with replies. Tuned: 64 workers, no logger. Its default bound of connections is low."""

import json
import sys

import measure
from faststream import FastStream
from faststream.redis import ListSub, RedisBroker

TUNED = measure.VARIANT == "tuned"
broker = RedisBroker(measure.URL, max_connections=1200, **({"logger": None} if TUNED else {}))
app = FastStream(broker)


@broker.subscriber(list=ListSub("jobs", polling_interval=0.1), **({"max_workers": 64} if TUNED else {}))
async def short(audio: bytes) -> dict:
    return measure.answer(audio)


async def client():
    async with broker:

        async def call():
            return json.loads((await broker.request(measure.AUDIO, list="jobs", timeout=60)).body)

        await measure.measure(call)


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        measure.become("faststream", "run", "faststream_queue:app")
    measure.run(client())
