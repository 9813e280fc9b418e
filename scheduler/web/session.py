"""One connection of a client that has said hello: its submits and cancels, and what became of its jobs.

Which sessions there are, and which may come back, is the door's business (sessions.py).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from scheduler import codec
from scheduler.config import ms
from scheduler.errors import BadInput, Rejected
from scheduler.in_order import InOrder
from scheduler.job import Job, key_of
from scheduler.messages import Accepted, CancelJob, Error, FromClient, JobResult, RejectedSubmit, Submit
from scheduler.reasons import STOPPING
from scheduler.security.caller import Caller
from scheduler.telemetry.events import Event
from scheduler.trace_context import checked
from scheduler.web.frame_socket import FrameSocket
from scheduler.web.views import as_rejection, check_audio, job_result

if TYPE_CHECKING:
    from scheduler.web.sessions import SessionDoor

BAD_MESSAGES_MAX = 20
"""Messages that can't be used before a connection is closed."""
CLOSE_POLICY = 1008
Ended = tuple[str, JobResult | RejectedSubmit]
"""The id of a job that ended, and what its client is told."""


class Session:
    """One connection of a client that has said hello."""

    def __init__(
        self, door: SessionDoor, socket: FrameSocket, binary: bool, session_id: str, in_order: bool, caller: Caller
    ) -> None:
        self.socket = socket
        self.session_id = session_id
        self.caller = caller
        self.key = key_of(caller.name, session_id)
        """The same session id of another caller is another session."""
        self._door = door
        self._binary = binary
        self._jobs: dict[str, bool] = {}
        """Jobs whose results this client has still to get -> whether they are its own."""
        self._bad_messages = 0
        grace_ms, held_max = ms(door.settings.in_order_grace_s), door.settings.in_order_held_max
        self._order: InOrder[Ended] | None = InOrder(grace_ms, held_max) if in_order else None
        self._gap_timer: asyncio.TimerHandle | None = None

    def send(self, message: Any) -> None:
        """Send `message` to the client."""
        self.socket.send_frame(codec.encode(message, self._binary), self._binary)

    def on_frame(self, data: bytes, binary: bool) -> bool:
        """Take one message."""
        try:
            message: FromClient = codec.from_client.decode(data, binary)
        except BadInput as error:
            request_id = codec.request_id_of(data, binary)
            if request_id is None:
                self._bad_message(error)
            else:
                self._reject(request_id, as_rejection(error))
            return True
        if isinstance(message, Submit):
            self._submit(message)
        elif isinstance(message, CancelJob):
            self._cancel(message.job_id)
        else:
            self._bad_message(BadInput("hello_twice", "hello comes once, as the first message"))
        return True

    def job_ended(self, job: Job) -> None:
        """A job that this client waits for has ended."""
        ended = (job.job_id, self._what_became_of(job))
        if self._order is None:
            self._tell([ended])
        else:
            self._tell(self._order.ended(job.job_id, ended, _now_ms()))
            self._watch_gap(self._order)

    def take_over(self, job_ids: list[str], tell: bool) -> None:
        """Go on with the jobs of an earlier connection; with `tell` their results are sent without being asked for."""
        for job_id in job_ids:
            job = self._door.dispatcher.find(job_id)
            if job is None or (job.ended and not tell):
                continue
            self._wait_for(job, True)

    def let_go(self) -> list[str]:
        """Wait for nothing any more; return the ids of the own jobs whose results were not sent."""
        if self._gap_timer is not None:
            self._gap_timer.cancel()
        for job_id in self._jobs:
            self._door.results.unwatch(job_id, self)
        own = [job_id for job_id, is_own in self._jobs.items() if is_own]
        self._jobs.clear()
        return own

    def _submit(self, submit: Submit) -> None:
        door = self._door
        try:
            door.admission.check(self.caller, submit.pair, submit.request_id)
            check_audio(submit.audio, door.settings.audio_bytes_max)
            door.results.check_room()
            job = door.dispatcher.submit(
                pair=submit.pair,
                audio=submit.audio,
                request_id=submit.request_id,
                session_id=self.session_id,
                timeout_ms=submit.timeout_ms,
                affinity=submit.session_affinity,
                why=submit.why,
                owner=self.caller.name,
                trace=checked(submit.trace),
            )
        except BadInput as error:
            door.observer.job_rejected(submit.pair, error.reason)
            self._reject(submit.request_id, as_rejection(error))
            return
        except Rejected as rejected:
            self._reject(submit.request_id, rejected)
            return
        self.send(Accepted(submit.request_id, job.job_id))
        self._wait_for(job, job.session_key == self.key)

    def _wait_for(self, job: Job, is_own: bool) -> None:
        """Send the result of `job` when it has ended, or now if it has; in its turn if they go in order."""
        self._jobs[job.job_id] = is_own
        if self._order is not None:
            self._order.submitted(job.job_id)
        self._door.results.watch(job, self)

    def _what_became_of(self, job: Job) -> JobResult | RejectedSubmit:
        """Return the result of `job`; one that is handed back was not accepted after all."""
        if job.reason != STOPPING:
            return job_result(job)
        stopped = self._door.admission.stopped()
        return RejectedSubmit(job.request_id, stopped.reason, stopped.retry_after_ms, stopped.detail)

    def _tell(self, ended: list[Ended]) -> None:
        for job_id, message in ended:
            self._jobs.pop(job_id, None)
            self.send(message)

    def _watch_gap(self, order: InOrder[Ended]) -> None:
        """Have the gap skipped when its grace is over."""
        if self._gap_timer is not None:
            self._gap_timer.cancel()
            self._gap_timer = None
        due_ms = order.due_ms
        if due_ms is not None:
            loop = asyncio.get_running_loop()
            self._gap_timer = loop.call_later(max(0, due_ms - _now_ms()) / 1000, self._gap_is_due, order)

    def _gap_is_due(self, order: InOrder[Ended]) -> None:
        self._gap_timer = None
        self._tell(order.skip_gap(_now_ms()))
        self._watch_gap(order)

    def _cancel(self, job_id: str) -> None:
        job = self._door.dispatcher.find(job_id)
        if job is None or job.session_key != self.key:
            self.send(Error("unknown_job", f"no job {job_id!r} of this session; it may have been forgotten"))
        else:
            self._door.dispatcher.cancel(job_id)

    def _reject(self, request_id: str, rejected: Rejected) -> None:
        self.send(RejectedSubmit(request_id, rejected.reason, rejected.retry_after_ms, rejected.detail))

    def _bad_message(self, error: BadInput) -> None:
        self._bad_messages += 1
        self._door.log(Event.BAD_MESSAGE, peer=self.socket.peer, session_id=self.session_id, reason=error.reason)
        self.send(Error(error.reason, error.detail))
        if self._bad_messages >= BAD_MESSAGES_MAX:
            self.socket.close_with(CLOSE_POLICY, "too many bad messages")


def _now_ms() -> int:
    """The time of the loop."""
    return round(asyncio.get_running_loop().time() * 1000)
