"""Client users: each a stream of jobs whose times were set beforehand, over a WebSocket session or over HTTP.

None waits for an answer before it asks again, and every latency counts from the intended start, so a scheduler that
stalls can't hide it by slowing the load down. SessionCaller and HttpCaller are the same clients without that plan, for
classes with tasks of their own (examples/locustfile_small.py).
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
"""Pause before a long poll that failed is tried again."""
UTTERANCE_JOBS = 4
"""Pieces of speech, a job each, that belong together."""
WELCOME_S = 10.0
ACK_RESULTS = 100
"""As many results are acknowledged at once; the next submit does it, too."""


class HttpCaller(ClientUser):
    """Submits by POST and waits by long polls; each job on a connection of its own out of the user's pool."""

    abstract = True
    kind = HTTP

    def enter(self) -> None:
        """Nothing is connected yet."""
        options = self.options
        self.jobs = HttpJobs(self.traffic.host, options.client_token, options.ca_file, options.outstanding_max)
        self.polls = Group()

    def submit(self, wanted: Wanted, stream: Stream, audio: bytes) -> None:
        """Have the job submitted and waited for beside the others."""
        self.polls.spawn(self._do, wanted, stream, audio)

    def leave(self) -> None:
        """Give up what is still asked."""
        self.polls.kill()
        self.jobs.close()

    def _do(self, wanted: Wanted, stream: Stream, audio: bytes) -> None:
        view = self._submit(wanted, stream, audio)
        del audio  # it may be long, and the wait, too
        end_s = wanted.intended_s + self.traffic.workload.deadline_s
        while view is not None and not _ended(view):
            left_s = end_s - time.monotonic()
            if left_s <= 0 or self.expected.find(wanted.request_id) is None:
                return  # who looks for what is overdue tells it
            view = self._poll(wanted, view, left_s)
        if view is not None:
            self.came(wanted.request_id, view.state, view.output, view.error)

    def cancel(self, wanted: Wanted) -> None:
        """Cancel by DELETE; who polls sees the end."""
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
                view = self.jobs.submit(
                    audio, stream.pair, wanted.request_id, session=session, timeout_ms=stream.timeout_ms
                )
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
                if breaks > 1:  # once more with the same key makes no second job; a kept connection may just have ended
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
    """A client over HTTP, whose jobs come at the times of the plan."""

    part = "http"


class Utterance(msgspec.Struct):
    """Speech without a pause, as a session sends it: some jobs in a row, whole when all have a result."""

    open: int = 0
    pieces: int = 0
    last_intended_s: float = 0.0
    failed: bool = False


class Sent(msgspec.Struct):
    """What it takes to send a job again, and the utterance that it is a piece of."""

    stream: Stream
    audio: bytes
    utterance: Utterance | None


class SessionCaller(ClientUser):
    """Holds a session over a WebSocket; it reconnects, and then sends what is open again."""

    abstract = True
    kind = WS

    def enter(self) -> None:
        """Connect; with a scheduler that is not there the arrivals begin all the same, and fail."""
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
        """Return the utterance that a job is a piece of."""
        return None

    def leave(self) -> None:
        """Say goodbye."""
        self.gone = True
        if self.wire is not None:
            self.wire.close()
        self.reader.kill()

    def cancel(self, wanted: Wanted) -> None:
        """Send a cancel; without a connection the job goes on."""
        if self.wire is not None:
            with contextlib.suppress(Closed):  # who reads sees it, too
                self.wire.send(CancelJob(wanted.job_id))

    def ended(self, wanted: Wanted, failure: str) -> None:
        """A job will not be sent again: its audio is released."""
        super().ended(wanted, failure)
        wanted.tag = None

    def _send(self, wire: Wire[ToClient], wanted: Wanted) -> None:
        sent: Sent = wanted.tag
        stream = sent.stream
        self.acknowledged = self.handled
        submit = Submit(
            wanted.request_id, stream.pair, sent.audio, stream.timeout_ms, stream.affinity, ack=self.handled
        )
        with contextlib.suppress(Closed):  # who reads sees it, too, connects again and sends what is open
            wire.send(submit)

    # ---- who reads

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
        traffic = self.traffic
        wire = Wire.open(traffic.door("/ws/session"), to_client, binary=self.binary, tls=traffic.tls)
        try:
            hello = Hello(session_id=self.name, token=self.options.client_token or None, acks=True)
            if self.generation:
                hello.resume, hello.generation, hello.ack = True, self.generation, self.handled
            wire.send(hello)
            welcome = wire.receive(timeout_s=WELCOME_S)
            if isinstance(welcome, Error):
                raise BadInput(welcome.reason, welcome.detail)
            if not isinstance(welcome, Welcome):
                raise BadInput("no_welcome", "the first message was none")
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
        """Note that a result was handled. One that came before would be reported by `came`: none is left out here."""
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
    """A session that speaks in utterances, at the times of the plan."""

    part = "session"

    def enter(self) -> None:
        """Connect, and begin an utterance."""
        self.utterance = Utterance()
        super().enter()

    def next_piece(self, wanted: Wanted) -> Utterance:
        """Count a job as the next piece of the utterance."""
        utterance = self.utterance
        utterance.open += 1
        utterance.pieces += 1
        utterance.last_intended_s = wanted.intended_s
        if utterance.pieces == UTTERANCE_JOBS:
            self.utterance = Utterance()
        return utterance

    def ended(self, wanted: Wanted, failure: str) -> None:
        """A piece of an utterance has its end."""
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
