"""huey, storage Redis. Tuned: the client is notified of a result, 8 threads."""

import sys

import measure
from huey import RedisHuey

TUNED = measure.VARIANT == "tuned"
huey = RedisHuey("peer", url=measure.URL, notify_result=TUNED)


@huey.task(name="short")
def short(audio):
    return measure.answer(audio)


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        measure.become("huey.bin.huey_consumer", "huey_queue.huey", "-q", *(["-w", "8"] if TUNED else []))
    from huey_queue import short as task

    measure.measure_blocking(lambda: task(measure.AUDIO), lambda handle: handle.get(blocking=True, timeout=60))
