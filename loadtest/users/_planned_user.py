"""The task of client users in a load run: it submits jobs at planned times."""

from __future__ import annotations

from locust import tag, task

from voxpool.loadtest.users import _audio
from voxpool.loadtest.users._arrivals import Arrival
from voxpool.loadtest.users._client_user import ClientUser
from voxpool.loadtest.users._expected import Wanted
from voxpool.loadtest.users._workload import Stream

LOOK_S = 1.0
"""Longest interval of the checks for overdue results."""


class PlannedUser(ClientUser):
    """A client that submits jobs at the times of an open model, independent of earlier results."""

    abstract = True

    def on_start(self) -> None:
        """Start the client, then draw the first arrival."""
        super().on_start()
        self.arrivals = self.traffic.arrivals_of(self.number)

    def wait_time(self) -> float:
        """Return the seconds until the next arrival or the next check for overdue results."""
        wait_s = self.arrivals.wait_s() if self.traffic.may_ask() else None
        return LOOK_S if wait_s is None else min(LOOK_S, wait_s)

    @tag("submit")
    @task
    def ask(self) -> None:
        """Submit the due jobs."""
        self.give_up_overdue()
        while self.traffic.may_ask() and self.arrivals.wait_s() == 0:
            arrival = self.arrivals.take(len(self.expected), self.options.outstanding_max)
            if arrival is not None:
                self.submit(*self.next_job(arrival))

    def next_job(self, arrival: Arrival) -> tuple[Wanted, Stream, bytes]:
        """Return the job of an arrival, its stream, and its audio."""
        self.asked += 1
        number = self.number << 32 | self.asked
        audio = _audio.make(arrival.work_s, number, arrival.audio_bytes)
        order = _audio.order_of(audio) if self.traffic.answers_are_ours else None
        answer = None if order is None else _audio.answer_to(audio, order)
        stream = arrival.stream
        wanted = Wanted(f"{self.name}-{self.asked}", arrival.intended_s, answer, key=stream.key, retries=stream.retries)
        share = self.options.cancel_share
        if int(self.asked * share) > int((self.asked - 1) * share):
            wanted.cancel_after_s = arrival.work_s / 2
        self.begin(wanted)
        return wanted, stream, audio
