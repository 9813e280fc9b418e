"""dramatiq, broker and results in Redis. Tuned: 4 threads that fetch 128 messages ahead."""

import base64
import os
import sys

import dramatiq
import measure
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

results = RedisBackend(url=measure.URL)
broker = RedisBroker(url=measure.URL)
broker.add_middleware(Results(backend=results))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def short(audio):
    return measure.answer(base64.b64decode(audio))


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        threads = []
        if measure.VARIANT == "tuned":
            os.environ["dramatiq_queue_prefetch"] = "128"  # noqa: SIM112
            threads = ["-t", "4"]
        measure.become("dramatiq", "dramatiq_queue", "-p", "1", *threads)
    audio = base64.b64encode(measure.AUDIO).decode()
    measure.measure_blocking(
        lambda: short.send(audio), lambda message: message.get_result(backend=results, block=True, timeout=60_000)
    )
