"""The base of client users over HTTP and WebSocket: submitted jobs, their results, and the end of the user.

It has no task: `_planned_user.py` adds the tasks of a load run; another locustfile defines its tasks.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar

import gevent
from locust import User

from voxpool.loadtest.users._expected import NO_RESULT, Expected, Wanted
from voxpool.loadtest.users._traffic import KEY, Traffic, traffic_of
from voxpool.loadtest.users._workload import Stream

LOOK_S = 0.05
"""Interval of the checks whether a job has ended."""


class ClientUser(User):
    """A client; `kind` is the type of its requests, `part` its role among the users of a run.

    `submit_audio`, `wait_for` and `cancel_soon` are for tasks of other user classes: examples/locustfile_small.py.
    """

    abstract = True
    part: ClassVar[str] = ""
    kind: ClassVar[str]

    def on_start(self) -> None:
        """Take a number, and connect. A subclass that overrides it must call it first."""
        self.traffic: Traffic = traffic_of(self.environment, self.host)
        self.options = self.traffic.context.options
        self.number = self.traffic.enter("client")
        self.name = self.traffic.name(self.part or "client", self.number)
        self.expected = Expected(self.traffic.workload.deadline_s)
        self.asked = 0
        self.enter()

    def on_stop(self) -> None:
        """Wait for results, for at most `drain_s`, then leave."""
        end_s = time.monotonic() + self.options.drain_s
        while len(self.expected) and time.monotonic() < end_s:
            gevent.sleep(LOOK_S)
        self.leave()
        for wanted in self.expected.all():
            self.expected.drop(wanted.request_id)
            self.traffic.counts.unfinished += 1
            self.traffic.ended()

    # For tasks.

    def submit_audio(self, audio: bytes, pair: str, *, timeout_s: float | None = None) -> Wanted:
        """Submit a job and return it at once; Locust's statistics get its `submit` and, when it ends, its `result`.

        `timeout_s` is the client's timeout of the job; None = the scheduler's. At the end of a load run no new jobs are
        sent: then it waits until the user is stopped.
        """
        while not self.traffic.may_ask():
            gevent.sleep(LOOK_S)
        self.asked += 1
        wanted = Wanted(f"{self.name}-{self.asked}", time.monotonic(), None)
        timeout_ms = None if timeout_s is None else round(timeout_s * 1000)
        self.begin(wanted)
        self.submit(wanted, Stream(pair, 0.0, timeout_ms=timeout_ms, affinity=True), audio)
        return wanted

    def wait_for(self, wanted: Wanted) -> Wanted:
        """Wait for the end of a job and return the job: `state` is "" when no result came within --result-timeout-s."""
        while self.expected.find(wanted.request_id) is wanted:
            self.give_up_overdue()
            gevent.sleep(LOOK_S)
        return wanted

    def cancel_soon(self, wanted: Wanted) -> None:
        """Cancel a job as soon as the scheduler has accepted it; the end is recorded as the operation `cancel`."""
        wanted.cancel_after_s = 0.0
        if wanted.job_id:
            self._cancel(wanted)

    # Differs by the kind of client.

    def enter(self) -> None:
        """Connect, or get ready to."""
        raise NotImplementedError

    def submit(self, wanted: Wanted, stream: Stream, audio: bytes) -> None:
        """Send a job with the pair and options of `stream`."""
        raise NotImplementedError

    def cancel(self, wanted: Wanted) -> None:
        """Request the cancel of a job; the result reports it."""
        raise NotImplementedError

    def leave(self) -> None:
        """Release the connections."""
        raise NotImplementedError

    # The steps of a job.

    def begin(self, wanted: Wanted) -> None:
        """Record a job before it is sent."""
        self.expected.add(wanted)
        self.traffic.begun()

    def give_up_overdue(self) -> None:
        """Report jobs whose result is overdue as failed."""
        for wanted in self.expected.overdue(time.monotonic()):
            self.result(wanted, NO_RESULT)

    def may_retry(self, wanted: Wanted, after_ms: int | None) -> bool:
        """Return whether a refused job may be submitted again after `after_ms`; it counts the retry."""
        if after_ms is None or not wanted.retries:
            return False
        wanted.retries -= 1
        return True

    def accepted(self, wanted: Wanted, job_id: str) -> None:
        """Record that the scheduler has accepted a job."""
        if not wanted.job_id and wanted.cancel_after_s is not None:
            gevent.spawn_later(wanted.cancel_after_s, self._cancel, wanted)
        wanted.job_id = job_id

    def _cancel(self, wanted: Wanted) -> None:
        if self.expected.find(wanted.request_id) is wanted:
            wanted.cancelled_s = time.monotonic()
            self.cancel(wanted)

    def came(self, request_id: str, state: str, output: Any, error: str | None) -> None:
        """Record the end of a job; that of a cancelled one counts as a cancel, from the time of its request."""
        judged = self.expected.came(request_id, state, output, error)
        wanted = judged.wanted
        if wanted is None:
            if judged.failure:
                self.traffic.tell(self.kind, "result", 0.0, 0, judged.failure)
            return
        wanted.state, wanted.output = state, output
        if state == "cancelled" and wanted.cancelled_s is not None:
            self.traffic.tell(self.kind, "cancel", time.monotonic() - wanted.cancelled_s)
            self.ended(wanted, "")
        else:
            self.result(wanted, judged.failure)

    def result(self, wanted: Wanted, failure: str) -> None:
        """Record the result of a job; `failure` is the reason of a failure, "" = none."""
        self._tell_end("result", wanted, failure)

    def ended(self, wanted: Wanted, failure: str) -> None:
        """Stop waiting for a job whose outcome has been recorded."""
        self.traffic.ended()

    def not_taken(self, wanted: Wanted, failure: str) -> None:
        """Record a submit that was refused or could not be sent."""
        if self.expected.drop(wanted.request_id) is not None:
            self._tell_end("submit", wanted, failure)

    def _tell_end(self, operation: str, wanted: Wanted, failure: str) -> None:
        seconds = time.monotonic() - wanted.intended_s
        self.traffic.tell(self.kind, operation, seconds, 0, failure)
        if wanted.key:
            self.traffic.tell(KEY, wanted.key, seconds, 0, failure)
        self.ended(wanted, failure)
