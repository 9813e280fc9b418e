"""RQ. Tuned: the worker does not fork for each job."""

import sys

import measure
import redis
import rq


def short(audio):
    return measure.answer(audio)


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        simple = ["-w", "rq.SimpleWorker"] if measure.VARIANT == "tuned" else []
        measure.become("rq.cli", "worker", "--url", measure.URL, "-q", *simple)
    queue = rq.Queue(connection=redis.Redis.from_url(measure.URL))
    measure.measure_blocking(
        lambda: queue.enqueue("rq_queue.short", measure.AUDIO),
        lambda job: job.latest_result(timeout=60).return_value,
    )
