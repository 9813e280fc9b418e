"""One session of a client: its submits, cancels and results, over any number of connections.

One connection is open at most; without one, results wait in the outbox. door.py keeps the sessions and the time that
one may stay away.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from voxpool.scheduler.config import ms
from voxpool.scheduler.core.jobs.job import Job, key_of
from voxpool.scheduler.core.jobs.reasons import STOPPING
from voxpool.scheduler.errors import BadInput, Rejected
from voxpool.scheduler.protocol import close_codes, codec
from voxpool.scheduler.protocol.messages import (
    Accepted,
    Ack,
    CancelJob,
    Error,
    FromClient,
    Hello,
    JobResult,
    NodePartial,
    Partial,
    RejectedSubmit,
    Submit,
)
from voxpool.scheduler.protocol.trace_context import checked
from voxpool.scheduler.security.caller import Caller
from voxpool.scheduler.telemetry.logs.events import Event
from voxpool.scheduler.telemetry.logs.log import Log
from voxpool.scheduler.web.sessions.results import Numbered, Outbox, Watcher, job_result
from voxpool.scheduler.web.wire.frame_socket import FrameSocket

if TYPE_CHECKING:
    from voxpool.scheduler.web.sessions.door import SessionDoor

CATCH_UP_BYTES = 4 * 1024**2
"""Results that are sent again are sent in parts of this size; the next part follows when this one is acknowledged."""
PARTIALS_BYTES_MAX = 256 * 1024
"""A partial result is dropped while more than this waits to be sent to its client; a later one replaces it."""
PARTIALS_SHARE = 0.5
"""The share of the send buffer that partial results may fill: the rest is for results."""
BAD_MESSAGES_MAX = 20
"""Messages that can't be used before a connection is closed."""


class Session(Watcher):
    """The state of one client. `attach` and `detach` follow its connections; `release` is the end."""

    def __init__(self, door: SessionDoor, session_id: str, caller: Caller, generation: str) -> None:
        self.session_id = session_id
        self.caller = caller
        self.key = key_of(caller.name, session_id)
        """The same session id of another caller is another session."""
        self.generation = generation
        self.connection: SessionConnection | None = None
        self.grace_ms = 0
        """How long its client may stay away."""
        self._door = door
        self._outbox: Outbox[Job] = Outbox(ms(door.settings.in_order_grace_s), door.settings.in_order_held_max)
        self._unsent: deque[tuple[int, str]] | None = None
        """Number and job id of results that follow when the client has acknowledged `_sent`; mostly there are none."""
        self._sent = 0
        self._gap_timer: asyncio.TimerHandle | None = None
        self._is_released = False
        self._moves = 0
        """How often the client has come back from another scheduler."""
        self._partials: set[str] = set()
        """Ids of unfinished jobs of which the client wants partial results."""

    @property
    def unfinished(self) -> int:
        """Own jobs whose results are not out."""
        return len(self._outbox.own)

    def attach(self, connection: SessionConnection, hello: Hello) -> None:
        """Go on over `connection`; send what the client has not got, if it resumes."""
        outbox = self._outbox
        if hello.generation == self.generation:
            outbox.acknowledge(min(hello.ack, outbox.number))
        elif hello.generation is not None:
            self._owe_nothing()
        if not hello.resume:
            outbox.forget([key for _, key in outbox.unacknowledged()])
        outbox.put_in_order(hello.in_order)
        outbox.keeps = hello.acks
        self.connection = connection
        if len(outbox):
            self._unsent = deque(outbox.unacknowledged())
            self._catch_up()
        self._watch_gap()

    def detach(self) -> None:
        """The connection is gone; until the next one every result is kept."""
        self.connection = None
        self._outbox.keeps = True
        self._unsent = None

    def release(self) -> list[str]:
        """Stop waiting; return the ids of own jobs whose results no other watcher waits for."""
        if self._gap_timer is not None:
            self._gap_timer.cancel()
        self._is_released = True
        self._unwatch()
        return [job_id for job_id in self._outbox.own if not self._door.results.is_watched(job_id)]

    def _owe_nothing(self) -> None:
        """Forget what was owed: the client was at another scheduler since, and asks again for what it still misses."""
        self._moves += 1
        self._unwatch()
        self._partials.clear()
        self._outbox.clear()

    def _unwatch(self) -> None:
        for job_id in self._outbox.expected:
            self._door.results.unwatch(job_id, self)

    def send(self, message: Any) -> int:
        """Send `message` to the client, if it is connected; return its bytes."""
        return 0 if self.connection is None else self.connection.send(message)

    def submit(self, submit: Submit) -> None:
        """Accept a job, or answer why not."""
        door = self._door
        try:
            if submit.ack:
                self.acknowledge(submit.ack)
            door.rate_limit.check(self.caller, submit.pair, submit.request_id)
            codec.check_audio(submit.audio, door.settings.audio_bytes_max)
            door.results.check_room()
            self._check_unacknowledged(submit)
            if self._is_owed(submit):
                return
            job = door.dispatcher.submit(
                pair=submit.pair,
                audio=submit.audio,
                request_id=submit.request_id,
                session_id=self.session_id,
                timeout_ms=submit.timeout_ms,
                affinity=submit.session_affinity,
                why=submit.why,
                attempts_max=submit.attempts_max,
                backoff_ms=submit.backoff_ms,
                share=self.caller.share(submit.priority, submit.key) if door.dispatcher.is_fair else None,
                owner=self.caller.name,
                trace=checked(submit.trace) if submit.trace else "",
            )
        except BadInput as error:
            door.observer.job_rejected(submit.pair, error.reason)
            self.reject(submit.request_id, Rejected(error.reason, error.detail))
            return
        except Rejected as rejected:
            self.reject(submit.request_id, rejected)
            return
        refused = partial(self.reject, submit.request_id, moves=self._moves)
        door.dispatcher.when_accepted(job, partial(self._accepted, submit, self._moves), refused)

    def _accepted(self, submit: Submit, moves: int, job: Job) -> None:
        """Tell the client that its job is accepted, and wait for its end; not if it has moved since `moves`."""
        if moves != self._moves:
            return
        results, is_own = self._door.results, job.session_key == self.key
        if self._is_released:
            if is_own and not job.ended and not results.is_watched(job.job_id):
                self._door.dispatcher.session_closed(self.key, [job.job_id])
            return
        self.send(Accepted(submit.request_id, job.job_id))
        if submit.partials and not job.ended:
            self._partials.add(job.job_id)
        if self._outbox.expect(job.job_id, is_own):
            results.watch(job, self)

    def reject(self, request_id: str, rejected: Rejected, moves: int | None = None) -> None:
        """Answer a submit that is refused; not if the client has moved since `moves`."""
        if moves in (None, self._moves):
            self.send(RejectedSubmit(request_id, rejected.reason, rejected.retry_after_ms, rejected.detail))

    def cancel(self, job_id: str) -> None:
        """Cancel a job of this session."""
        job = self._door.dispatcher.find(job_id)
        if job is None or job.session_key != self.key:
            self.send(Error("unknown_job", f"no job {job_id!r} of this session; it may have been forgotten"))
        else:
            self._door.dispatcher.cancel(job_id)

    def acknowledge(self, number: int) -> None:
        """The client has all results up to `number`. Raises BadInput (bad_ack) for one that was not sent."""
        try:
            self._outbox.acknowledge(number)
        except ValueError as error:
            raise BadInput("bad_ack", str(error)) from None
        if self._unsent and number >= self._sent:
            self._catch_up()

    def job_ended(self, job: Job) -> None:
        """A job that this client waits for has ended."""
        self._partials.discard(job.job_id)
        self._give(self._outbox.ended(job.job_id, job, _now_ms()))
        self._watch_gap()

    def wants_partials(self, job_id: str) -> bool:
        """Return whether the client has asked for partial results of that job."""
        return job_id in self._partials

    def partial(self, job: Job, partial: NodePartial) -> None:
        """Send what a worker knows so far; without a connection, or behind a full buffer, it is dropped."""
        if self.connection is not None:
            self.connection.send_partial(
                Partial(job.request_id, job.job_id, partial.attempt, partial.n, partial.output)
            )

    # ---- results

    def _give(self, out: list[Numbered[Job]]) -> None:
        for number, job in out:
            if self._unsent:  # those before it are still to be sent
                self._unsent.append((number, job.job_id))
            else:
                self.send(self._what_became_of(job, number))

    def _catch_up(self) -> None:
        """Send a part of the results that the client has not got; those of forgotten jobs can't be sent."""
        size, forgotten = 0, []
        while self._unsent and (size < CATCH_UP_BYTES or not self._outbox.keeps):
            self._sent, job_id = self._unsent.popleft()
            job = self._door.dispatcher.find(job_id)
            if job is not None:
                size += self.send(self._what_became_of(job, self._sent))
            if job is None or not self._outbox.keeps:
                forgotten.append(job_id)
        self._outbox.forget(forgotten)

    def _what_became_of(self, job: Job, number: int) -> JobResult | RejectedSubmit:
        """Return the result of `job`; one that is handed back was not accepted after all."""
        if job.reason != STOPPING:
            return job_result(job, number)
        stopped = self._door.rate_limit.stopped()
        return RejectedSubmit(job.request_id, stopped.reason, stopped.retry_after_ms, stopped.detail)

    def _is_owed(self, submit: Submit) -> bool:
        """Whether the end of this request's job is on its way to the client, which then asks for that, not anew."""
        known = self._door.dispatcher.table.find_request(submit.request_id, self.caller.name)
        if known is None or not known.begins_anew or not self._outbox.owes(known.job_id):
            return False
        self._door.dispatcher.intake.check_same(known, submit.pair, submit.audio)
        self.send(Accepted(submit.request_id, known.job_id))
        return True

    def _check_unacknowledged(self, submit: Submit) -> None:
        """Raise Rejected when unacknowledged_max results wait to be acknowledged."""
        settings, outbox, dispatcher = self._door.settings, self._outbox, self._door.dispatcher
        if len(outbox) < settings.unacknowledged_max:
            return
        if dispatcher.table.find_request(submit.request_id, self.caller.name) is not None:
            return
        oldest_first = (job_id for _, job_id in outbox.unacknowledged())
        outbox.forget(list(takewhile(lambda job_id: dispatcher.find(job_id) is None, oldest_first)))
        if len(outbox) >= settings.unacknowledged_max:
            self._door.observer.job_rejected(submit.pair, "unacknowledged_max")
            detail = f"{len(outbox)} results of this session wait for an ack, the most allowed"
            raise Rejected("unacknowledged_max", detail, ms(settings.retry_after_s))

    # ---- order

    def _watch_gap(self) -> None:
        """Skip the gap before a result that is held back when its grace is over."""
        if self._gap_timer is not None:
            self._gap_timer.cancel()
            self._gap_timer = None
        due_ms = self._outbox.due_ms
        if due_ms is not None:
            loop = asyncio.get_running_loop()
            self._gap_timer = loop.call_later(max(0, due_ms - _now_ms()) / 1000, self._gap_is_due)

    def _gap_is_due(self) -> None:
        self._gap_timer = None
        self._give(self._outbox.skip_gap(_now_ms()))
        self._watch_gap()


class SessionConnection:
    """One connection, whose client has sent hello: frames become calls of the session, and its messages frames."""

    def __init__(self, session: Session, socket: FrameSocket, binary: bool, log: Log) -> None:
        self.socket = socket
        self._session = session
        self._binary = binary
        self._log = log
        self._bad_messages = 0

    def send(self, message: Any) -> int:
        """Send `message` and return its bytes."""
        frame = codec.encode(message, self._binary)
        self.socket.send_frame(frame, self._binary)
        return len(frame)

    def send_partial(self, partial: Partial) -> None:
        """Send `partial` unless the client is behind: partial results never cut off a client."""
        unsent = self.socket.unsent_bytes
        if unsent > PARTIALS_BYTES_MAX:
            return
        frame = codec.encode(partial, self._binary)
        if unsent + len(frame) <= PARTIALS_SHARE * self.socket.send_buffer_bytes_max:
            self.socket.send_frame(frame, self._binary)

    def on_frame(self, data: bytes, binary: bool) -> bool:
        """Take one message; those of a connection that was replaced are dropped."""
        session = self._session
        if session.connection is not self:
            return True
        try:
            message: FromClient = codec.from_client.decode(data, binary)
            if isinstance(message, Submit):
                session.submit(message)
            elif isinstance(message, Ack):
                session.acknowledge(message.number)
            elif isinstance(message, CancelJob):
                session.cancel(message.job_id)
            else:
                raise BadInput("hello_twice", "hello comes once, as the first message")
        except BadInput as error:
            request_id = codec.request_id_of(data, binary)
            if request_id is None:
                self._bad_message(error)
            else:
                session.reject(request_id, Rejected(error.reason, error.detail))
        return True

    def _bad_message(self, error: BadInput) -> None:
        self._bad_messages += 1
        session_id = self._session.session_id
        self._log(Event.BAD_MESSAGE, peer=self.socket.peer, session_id=session_id, reason=error.reason)
        self.send(Error(error.reason, error.detail))
        if self._bad_messages >= BAD_MESSAGES_MAX:
            self.socket.close_with(close_codes.POLICY, "too many bad messages")


def _now_ms() -> int:
    """The time of the loop."""
    return round(asyncio.get_running_loop().time() * 1000)
