"""What client users of both kinds have in common: arrivals, what they wait for, and an end in good order."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import gevent
from locust import User, task

from loadtest.users import _audio
from loadtest.users._arrivals import Arrival
from loadtest.users._expected import NO_RESULT, Expected, Wanted
from loadtest.users._traffic import Traffic, traffic_of

LOOK_S = 1.0
"""Longest time between two looks for results that are overdue."""
DRAIN_LOOK_S = 0.05


class ClientUser(User):
    """A client; `kind` is that of its requests, `part` what it is among the users of a run."""

    abstract = True
    part: ClassVar[str]
    kind: ClassVar[str]

    def on_start(self) -> None:
        """Take a number, and draw the first arrival."""
        self.traffic: Traffic = traffic_of(self.environment)
        self.options = self.traffic.context.options
        self.number = self.traffic.enter("client")
        self.name = self.traffic.name(self.part, self.number)
        self.expected = Expected(self.traffic.workload.deadline_s)
        self.asked = 0
        self.enter()
        self.arrivals = self.traffic.arrivals_of(self.number)

    def wait_time(self) -> float:
        """Return the seconds until the next arrival, or until it is time to look for what is overdue."""
        wait_s = self.arrivals.wait_s() if self.traffic.may_ask() else None
        return LOOK_S if wait_s is None else min(LOOK_S, wait_s)

    @task
    def ask(self) -> None:
        """Submit what is due."""
        for wanted in self.expected.overdue(time.monotonic()):
            self.result(wanted, NO_RESULT)
        while self.traffic.may_ask() and self.arrivals.wait_s() == 0:
            arrival = self.arrivals.take(len(self.expected), self.options.outstanding_max)
            if arrival is not None:
                self.submit(arrival)

    def on_stop(self) -> None:
        """Wait for what was asked, for `drain_s` at most, then leave."""
        end_s = time.monotonic() + self.options.drain_s
        while len(self.expected) and time.monotonic() < end_s:
            gevent.sleep(DRAIN_LOOK_S)
        self.leave()
        for wanted in self.expected.all():
            self.expected.drop(wanted.request_id)
            self.traffic.counts.unfinished += 1
            self.traffic.ended()

    def enter(self) -> None:
        """Connect, or get ready to; the arrivals begin afterwards."""
        raise NotImplementedError

    def submit(self, arrival: Arrival) -> None:
        """Send the job of `arrival`."""
        raise NotImplementedError

    def leave(self) -> None:
        """Let go of the connections."""
        raise NotImplementedError

    def next_job(self, arrival: Arrival) -> tuple[Wanted, bytes]:
        """Return what is to be waited for, and the audio."""
        self.asked += 1
        number = self.number << 32 | self.asked
        audio = _audio.make(arrival.work_s, number, arrival.audio_bytes)
        order = _audio.order_of(audio) if self.traffic.answers_are_ours else None
        answer = None if order is None else _audio.heard(audio, order)
        wanted = Wanted(f"{self.name}-{self.asked}", arrival.intended_s, answer, retries=arrival.stream.retries)
        share = self.options.cancel_share
        if int(self.asked * share) > int((self.asked - 1) * share):
            wanted.cancel_after_s = arrival.work_s / 2
        self.expected.add(wanted)
        self.traffic.begun()
        return wanted, audio

    def may_retry(self, wanted: Wanted, after_ms: int | None) -> bool:
        """Whether a refused job is to be submitted again, after that time; it is counted."""
        if after_ms is None or not wanted.retries:
            return False
        wanted.retries -= 1
        return True

    def accepted(self, wanted: Wanted, job_id: str) -> None:
        """The scheduler has taken a job."""
        if not wanted.job_id and wanted.cancel_after_s is not None:
            gevent.spawn_later(wanted.cancel_after_s, self._cancel, wanted)
        wanted.job_id = job_id

    def _cancel(self, wanted: Wanted) -> None:
        if self.expected.find(wanted.request_id) is wanted:
            wanted.cancelled_s = time.monotonic()
            self.cancel(wanted)

    def cancel(self, wanted: Wanted) -> None:
        """Ask for the end of a job; it comes as its result."""
        raise NotImplementedError

    def came(self, request_id: str, state: str, output: Any, error: str | None) -> None:
        """The end of a job has come; one that was cancelled counts as that, from when its client asked for it."""
        judged = self.expected.came(request_id, state, output, error)
        wanted = judged.wanted
        if wanted is None:
            if judged.failure:
                self.traffic.tell(self.kind, "result", 0.0, 0, judged.failure)
        elif state == "cancelled" and wanted.cancelled_s is not None:
            self.traffic.tell(self.kind, "cancel", time.monotonic() - wanted.cancelled_s)
            self.ended(wanted, "")
        else:
            self.result(wanted, judged.failure)

    def result(self, wanted: Wanted, failure: str) -> None:
        """A job has its end; `failure` says what is wrong with it, "" = nothing."""
        self.traffic.tell(self.kind, "result", time.monotonic() - wanted.intended_s, 0, failure)
        self.ended(wanted, failure)

    def ended(self, wanted: Wanted, failure: str) -> None:
        """A job is not waited for any more, and was told of."""
        self.traffic.ended()

    def not_taken(self, wanted: Wanted, failure: str) -> None:
        """A submit was refused, or could not be sent."""
        if self.expected.drop(wanted.request_id) is not None:
            self.traffic.tell(self.kind, "submit", time.monotonic() - wanted.intended_s, 0, failure)
            self.ended(wanted, failure)
