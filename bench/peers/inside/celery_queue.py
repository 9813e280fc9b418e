"""Celery, broker and results in Redis. Tuned: 64 tasks ahead, no gossip, no heartbeat; threads: 8 of them, too."""

import sys

import measure
from celery import Celery

app = Celery("celery_queue", broker=measure.URL, backend=measure.URL)
app.conf.broker_connection_retry_on_startup = True
if measure.VARIANT != "default":
    app.conf.worker_prefetch_multiplier = 64
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")
OPTIONS = {"default": (), "tuned": QUIET, "threads": ("--pool=threads", "-c", "8", *QUIET)}


@app.task(name="short", serializer="pickle")
def short(audio):
    return measure.answer(audio)


app.conf.accept_content = ["pickle", "json"]

if __name__ == "__main__":
    if sys.argv[1] == "worker":
        measure.become("celery", "-A", "celery_queue", "worker", "-l", "WARNING", *OPTIONS[measure.VARIANT])
    measure.measure_blocking(lambda: short.delay(measure.AUDIO), lambda handle: handle.get(timeout=60))
