"""taskiq over a Redis list. Tuned: the client looks every 5 ms."""

import base64
import sys

import measure
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

broker = ListQueueBroker(measure.URL).with_result_backend(RedisAsyncResultBackend(measure.URL))


@broker.task(task_name="short")
async def short(audio: str) -> dict:
    return measure.answer(base64.b64decode(audio))


async def client():
    await broker.startup()
    audio = base64.b64encode(measure.AUDIO).decode()
    poll = {"check_interval": 0.005} if measure.VARIANT == "tuned" else {}

    async def call():
        return (await (await short.kiq(audio)).wait_result(**poll)).return_value

    await measure.measure(call)
    await broker.shutdown()


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        measure.become("taskiq", "worker", "taskiq_queue:broker", "--workers", "1", "--log-level", "WARNING")
    measure.run(client())
