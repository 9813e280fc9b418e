"""A load test of your own on voxpool's session user: callers submit a sentence, wait for its result, and think.

    voxpool serve &
    voxpool node --id n1 --pairs zh:en,en:zh --slots 10 &
    locust -f examples/locustfile_small.py --headless -u 5 -t 10s --host http://127.0.0.1:5010

-T sentence leaves out the task that cancels. Results are in Locust's own statistics, page and exit code.
"""

from __future__ import annotations

import random
from pathlib import Path

import gevent
from locust import between, tag, task

from voxpool.loadtest.clients import SessionCaller

SENTENCES = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.wav"))]
PAIRS = ["zh:en", "en:zh"]


class Caller(SessionCaller):
    """Connects once and submits sentences until the test ends."""

    wait_time = between(0.2, 1.0)  # time to think

    def on_start(self) -> None:
        super().on_start()  # connects
        self.pair = random.choice(PAIRS)

    @tag("sentence")
    @task(9)
    def submit_a_sentence(self) -> None:
        self.wait_for(self.submit_audio(random.choice(SENTENCES), self.pair, timeout_s=30))

    @tag("cancel")
    @task(1)
    def cancel_in_the_middle(self) -> None:
        job = self.submit_audio(random.choice(SENTENCES), self.pair)
        gevent.sleep(0.1)
        self.cancel_soon(job)
