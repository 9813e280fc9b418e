"""Client users: each submits a stream of jobs at planned times, over a WebSocket session or over HTTP.

A user does not wait for an answer before its next submit, and every latency counts from the intended start, so a stall
of the scheduler can't slow the load down and hide itself. SessionCaller and HttpCaller are the same clients without a
plan, for user classes with other tasks (examples/locustfile_small.py).
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

import gevent
import msgspec
from gevent.event import Event
from gevent.pool import Group

from voxpool.loadtest.users._client_user import ClientUser
from voxpool.loadtest.users._expected import Wanted
from voxpool.loadtest.users._http import BROKEN, HttpJobs, Refused
from voxpool.loadtest.users._planned_user import PlannedUser
from voxpool.loadtest.users._reasons import LOST, NOT_CONNECTED, refused_as, why_lost
from voxpool.loadtest.users._traffic import HTTP, WS
from voxpool.loadtest.users._wire import Closed, NotOpened, Wire
from voxpool.loadtest.users._workload import Stream
from voxpool.scheduler.chance import fresh_random
from voxpool.scheduler.errors import BadInput
from voxpool.scheduler.protocol.codec import to_client
from voxpool.scheduler.protocol.messages import (
    Accepted,
    Ack,
    CancelJob,
    Error,
    Hello,
    JobResult,
    RejectedSubmit,
    Submit,
    ToClient,
    Welcome,
)
from voxpool.scheduler.sdk.wire.backoff import Backoff

AGAIN_S = 0.5
"""Pause before a failed long poll is retried."""
UTTERANCE_JOBS = 4
"""Number of jobs of an utterance."""
WELCOME_S = 10.0
ACK_RESULTS = 100
"""Number of results that are acknowledged together; the next submit acknowledges them, too."""


class HttpCaller(ClientUser):
    """Submits by POST and waits by long polls; each job uses a separate connection of the user's pool."""

    abstract = True
    kind = HTTP

    def enter(self) -> None:
        """Do nothing: connections are opened on demand."""
        options = self.options
        host = self.traffic.host_of(self.number)
        self.jobs = HttpJobs(host, options.client_token, options.ca_file, options.outstanding_max)
        self.polls = Group()

    def submit(self, wanted: Wanted, stream: Stream, audio: bytes) -> None:
        """Submit the job and wait for it in a separate greenlet."""
        self.polls.spawn(self._do, wanted, stream, audio)

    def leave(self) -> None:
        """Stop all requests in progress."""
        self.polls.kill()
        self.jobs.close()

    def _do(self, wanted: Wanted, stream: Stream, audio: bytes) -> None:
        view = self._submit(wanted, stream, audio)
        del audio  # it may be large, and the wait may be long
        end_s = wanted.intended_s + self.traffic.workload.deadline_s
        while view is not None and not _ended(view):
            left_s = end_s - time.monotonic()
            if left_s <= 0 or self.expected.find(wanted.request_id) is None:
                return  # give_up_overdue reports it
            view = self._poll(wanted, view, left_s)
        if view is not None:
            self.came(wanted.request_id, view.state, view.output, view.error)

    def cancel(self, wanted: Wanted) -> None:
        """Cancel by DELETE; the poll receives the end."""
        try:
            self.jobs.cancel(wanted.job_id)
        except Refused as refused:
            self.traffic.tell(HTTP, "cancel", 0.0, 0, refused_as(refused.reason))
        except BROKEN:
            self.traffic.tell(HTTP, "cancel", 0.0, 0, LOST)

    def _submit(self, wanted: Wanted, stream: Stream, audio: bytes) -> Any:
        session = self.name if stream.affinity else ""
        breaks = 0
        while True:
            try:
                view = self.jobs.submit(audio, stream, wanted.request_id, session)
                self.traffic.tell(HTTP, "submit", time.monotonic() - wanted.intended_s, len(audio))
                self.accepted(wanted, view.job_id)
                return view
            except Refused as refused:
                if not self.may_retry(wanted, refused.retry_after_ms):
                    self.not_taken(wanted, refused_as(refused.reason))
                    return None
                gevent.sleep((refused.retry_after_ms or 0) / 1000)
            except BROKEN:
                breaks += 1
                if breaks > 1:  # a retry with the same key makes no second job; a kept connection may just have ended
                    self.not_taken(wanted, LOST)
                    return None

    def _poll(self, wanted: Wanted, view: Any, wait_s: float) -> Any:
        began_s = time.monotonic()
        try:
            answer = self.jobs.wait(view.job_id, wait_s)
        except Refused as refused:
            self.traffic.tell(HTTP, "job", time.monotonic() - began_s, 0, refused_as(refused.reason))
            if refused.reason != "unknown_job":
                gevent.sleep(AGAIN_S)
                return view
            if self.expected.drop(wanted.request_id) is not None:
                self.result(wanted, "unknown_job")
            return None
        except BROKEN:
            self.traffic.tell(HTTP, "job", time.monotonic() - began_s, 0, LOST)
            gevent.sleep(AGAIN_S)
            return view
        self.traffic.tell(HTTP, "job", time.monotonic() - began_s)
        return answer


class HttpClientUser(PlannedUser, HttpCaller):
    """A client over HTTP that submits jobs at planned times."""

    part = "http"


class Utterance(msgspec.Struct):
    """Some consecutive jobs of a session, like speech without a pause; complete when all have a result."""

    open: int = 0
    pieces: int = 0
    last_intended_s: float = 0.0
    failed: bool = False


class Sent(msgspec.Struct):
    """The data to send a job again, and its utterance."""

    stream: Stream
    audio: bytes
    utterance: Utterance | None


class SessionCaller(ClientUser):
    """A session over a WebSocket; after a reconnect it sends unfinished jobs again."""

    abstract = True
    kind = WS

    def enter(self) -> None:
        """Connect; without a scheduler the arrivals begin all the same, and fail."""
        share = self.options.messagepack_share
        self.binary = int((self.number + 1) * share) > int(self.number * share)
        self.wire: Wire[ToClient] | None = None
        self.generation = ""
        self.handled = self.acknowledged = 0
        self.gone = False
        self.tried = Event()
        self.reader = gevent.spawn(self._stay_connected)
        self.tried.wait()

    def submit(self, wanted: Wanted, stream: Stream, audio: bytes) -> None:
        """Send a submit."""
        if self.wire is None:
            self.not_taken(wanted, NOT_CONNECTED)
            return
        wanted.tag = Sent(stream, audio, self.next_piece(wanted))
        self._send(self.wire, wanted)

    def next_piece(self, wanted: Wanted) -> Utterance | None:
        """Return the utterance of a job."""
        return None

    def leave(self) -> None:
        """Say goodbye."""
        self.gone = True
        if self.wire is not None:
            self.wire.close()
        self.reader.kill()

    def cancel(self, wanted: Wanted) -> None:
        """Send a cancel; without a connection the job continues."""
        if self.wire is not None:
            with contextlib.suppress(Closed):  # the reader notices it, too
                self.wire.send(CancelJob(wanted.job_id))

    def ended(self, wanted: Wanted, failure: str) -> None:
        """Release the audio of an ended job, which is not sent again."""
        super().ended(wanted, failure)
        wanted.tag = None

    def _send(self, wire: Wire[ToClient], wanted: Wanted) -> None:
        sent: Sent = wanted.tag
        stream = sent.stream
        self.acknowledged = self.handled
        submit = Submit(
            wanted.request_id,
            stream.pair,
            sent.audio,
            stream.timeout_ms,
            stream.affinity,
            ack=self.handled,
            priority=stream.priority,
            key=stream.key or None,
        )
        with contextlib.suppress(Closed):  # the reader notices it, reconnects and sends unfinished jobs
            wire.send(submit)

    # ---- the reader

    def _stay_connected(self) -> None:
        backoff = Backoff(fresh_random())
        what = "connect"
        while True:
            began_s = time.monotonic()
            try:
                with self.traffic.connecting:
                    began_s = time.monotonic()
                    self.wire = wire = self._greet()
                self.tried.set()
                self.traffic.tell(WS, what, time.monotonic() - began_s)
                what = "reconnect"
                backoff.reset()
                for wanted in self.expected.all():
                    wanted.sends += 1
                    self._send(wire, wanted)
                self._read(wire)
            except (Closed, NotOpened, BadInput, TimeoutError) as error:
                if self.gone:
                    return
                self.tried.set()
                self.traffic.tell(WS, what, time.monotonic() - began_s, 0, why_lost(error))
            finally:
                if self.wire is not None:
                    self.wire.abort()
                    self.wire = None
            gevent.sleep(backoff.pause_s())

    def _greet(self) -> Wire[ToClient]:
        door = self.traffic.door("/ws/session", self.number)
        wire = Wire.open(door, to_client, binary=self.binary, tls=self.traffic.tls)
        try:
            hello = Hello(session_id=self.name, token=self.options.client_token or None, acks=True)
            if self.generation:
                hello.resume, hello.generation, hello.ack = True, self.generation, self.handled
            wire.send(hello)
            welcome = wire.receive(timeout_s=WELCOME_S)
            if isinstance(welcome, Error):
                raise BadInput(welcome.reason, welcome.detail)
            if not isinstance(welcome, Welcome):
                raise BadInput("no_welcome", "the first message was not a welcome")
            if welcome.generation != self.generation:
                self.generation, self.handled = welcome.generation, 0
            self.acknowledged = self.handled
        except BaseException:
            wire.abort()
            raise
        return wire

    def _read(self, wire: Wire[ToClient]) -> None:
        while True:
            message = wire.receive()
            if isinstance(message, JobResult):
                self.came(message.request_id, message.state, message.output, message.error)
                self._acknowledge(wire, message.number or 0)
            elif isinstance(message, Accepted):
                self._taken(message)
            elif isinstance(message, RejectedSubmit):
                self._rejected(message)
            elif isinstance(message, Error):
                self.traffic.tell(WS, "connect", 0.0, 0, refused_as(message.reason))

    def _acknowledge(self, wire: Wire[ToClient], number: int) -> None:
        """Acknowledge results up to `number`; `came` reports missing ones."""
        self.handled = max(self.handled, number)
        if self.handled - self.acknowledged >= ACK_RESULTS:
            self.acknowledged = self.handled
            wire.send(Ack(self.handled))

    def _taken(self, message: Accepted) -> None:
        wanted = self.expected.find(message.request_id)
        if wanted is not None:
            if not wanted.job_id:
                self.traffic.tell(WS, "submit", time.monotonic() - wanted.intended_s)
            self.accepted(wanted, message.job_id)

    def _rejected(self, message: RejectedSubmit) -> None:
        wanted = self.expected.find(message.request_id)
        if wanted is not None:
            if self.may_retry(wanted, message.retry_after_ms):
                gevent.spawn_later((message.retry_after_ms or 0) / 1000, self._send_again, wanted)
            else:
                self.not_taken(wanted, refused_as(message.reason))

    def _send_again(self, wanted: Wanted) -> None:
        if self.wire is not None and self.expected.find(wanted.request_id) is wanted:
            self._send(self.wire, wanted)


class SessionUser(PlannedUser, SessionCaller):
    """A session that submits utterances at planned times."""

    part = "session"

    def enter(self) -> None:
        """Connect, and begin an utterance."""
        self.utterance = Utterance()
        super().enter()

    def next_piece(self, wanted: Wanted) -> Utterance:
        """Add a job to the current utterance."""
        utterance = self.utterance
        utterance.open += 1
        utterance.pieces += 1
        utterance.last_intended_s = wanted.intended_s
        if utterance.pieces == UTTERANCE_JOBS:
            self.utterance = Utterance()
        return utterance

    def ended(self, wanted: Wanted, failure: str) -> None:
        """Record the end of a job of an utterance."""
        utterance = None if wanted.tag is None else wanted.tag.utterance
        super().ended(wanted, failure)
        if utterance is None:
            return
        utterance.open -= 1
        utterance.failed |= bool(failure)
        if utterance.pieces == UTTERANCE_JOBS and not utterance.open:
            seconds = time.monotonic() - utterance.last_intended_s
            self.traffic.tell(WS, "utterance", seconds, 0, "piece_failed" if utterance.failed else "")


def _ended(view: Any) -> bool:
    return view.state in ("completed", "failed", "cancelled")
