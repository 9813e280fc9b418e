"""The door of clients, /ws/session: submits and cancels come in, results go out.

A session outlives a broken connection by `session_grace_s`, so that a client can come back for its results; a client
that says goodbye, or does not come back, no longer wants them, and its unfinished jobs are cancelled.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

from starlette.types import Receive, Scope, Send

from scheduler import codec
from scheduler.config import Settings, ms
from scheduler.dispatcher import Dispatcher
from scheduler.errors import BadInput, Rejected
from scheduler.in_order import InOrder
from scheduler.job import Job, key_of
from scheduler.messages import (
    PROTOCOL,
    Accepted,
    CancelJob,
    Error,
    FromClient,
    Hello,
    JobResult,
    RejectedSubmit,
    Submit,
    Welcome,
)
from scheduler.seams import Observer
from scheduler.security.access import AccessRefused
from scheduler.security.caller import Caller
from scheduler.telemetry.events import Event
from scheduler.telemetry.logs import Log
from scheduler.web.guard import admit, let_in
from scheduler.web.peer_socket import PeerSocket
from scheduler.web.results import Results
from scheduler.web.views import as_rejection, check_audio, job_result

BAD_MESSAGES_MAX = 20
"""Messages that can't be used before a connection is closed."""
CLOSE_POLICY = 1008
CLOSE_REPLACED = 4000


class SessionDoor:
    """The ASGI application behind /ws/session, and the sessions that are open or may come back."""

    def __init__(
        self,
        settings: Settings,
        dispatcher: Dispatcher,
        results: Results,
        observer: Observer,
        random: random.Random,
        log: Log,
    ) -> None:
        self.settings = settings
        self.dispatcher = dispatcher
        self.results = results
        self.observer = observer
        self.log = log
        self._random = random
        self._open: dict[str, Session] = {}
        self._absent: dict[str, tuple[list[str], asyncio.TimerHandle]] = {}
        """session key -> its unfinished jobs, and the timer that ends its grace."""

    def __len__(self) -> int:
        return len(self._open) + len(self._absent)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until it ends."""
        socket: PeerSocket = scope["state"]["socket"]
        await receive()  # the wish to connect
        await send({"type": "websocket.accept"})
        greeted = await self._greeting(socket)
        if greeted is None:
            return
        hello, binary = greeted
        try:
            caller = admit(scope, hello.token)
        except AccessRefused as refused:
            self._turn_away(socket, Error(refused.reason, refused.detail), binary)
            return
        with let_in(scope, caller, socket):
            session = self._begin(socket, hello, binary, caller)
            if session is None:
                return
            try:
                socket.serve(session.on_frame)
                while (received := await socket.next_frame()) is not None:
                    session.on_frame(*received)
                    socket.serve(session.on_frame)
                    await asyncio.sleep(0)
            finally:
                self._end(session)

    async def _greeting(self, socket: PeerSocket) -> tuple[Hello, bool] | None:
        try:
            async with asyncio.timeout(self.settings.greeting_s):
                received = await socket.next_frame()
        except TimeoutError:
            socket.abort("no_greeting")
            return None
        if received is None:
            return None
        try:
            hello: FromClient = codec.from_client.decode(received.data, received.binary)
            if not isinstance(hello, Hello):
                raise BadInput("hello_first", "the first message of a client is hello")
            if hello.protocol != PROTOCOL:
                raise BadInput("bad_protocol", f"protocol {hello.protocol} is unknown; this is protocol {PROTOCOL}")
        except BadInput as error:
            self.log(Event.BAD_MESSAGE, peer=socket.peer, reason=error.reason)
            self._turn_away(socket, Error(error.reason, error.detail), received.binary)
            return None
        return hello, received.binary

    def _turn_away(self, socket: PeerSocket, error: Error, binary: bool) -> None:
        socket.send_frame(codec.encode(error, binary), binary)
        socket.close_with(CLOSE_POLICY, error.reason)

    def _begin(self, socket: PeerSocket, hello: Hello, binary: bool, caller: Caller) -> Session | None:
        session_id = hello.session_id or f"s-{self._random.getrandbits(64):016x}"
        key = key_of(caller.name, session_id)
        known = key in self._open or key in self._absent
        if not known and len(self) >= self.settings.sessions_max:
            error = Error("sessions_max", f"{self.settings.sessions_max} sessions are open, the most allowed")
            self._turn_away(socket, error, binary)
            return None
        job_ids: list[str] = []
        older = self._open.get(key)
        if older is not None:
            self._end(older)
            older.socket.close_with(CLOSE_REPLACED, "replaced")
        if key in self._absent:
            job_ids, timer = self._absent.pop(key)
            timer.cancel()
        session = self._open[key] = Session(self, socket, binary, session_id, hello.in_order, caller)
        limits = {
            "audio_bytes_max": self.settings.audio_bytes_max,
            "output_bytes_max": self.settings.output_bytes_max,
            "session_grace_ms": ms(self.settings.session_grace_s),
        }
        session.send(Welcome(session_id, limits))
        self.log(Event.SESSION_OPENED, session_id=session_id, peer=socket.peer)
        session.take_over(job_ids, tell=hello.resume)
        return session

    def _end(self, session: Session) -> None:
        """The connection of `session` is gone, or another one has taken its place."""
        if self._open.get(session.key) is not session:
            return
        del self._open[session.key]
        job_ids = session.let_go()
        goodbye = session.socket.peer_said_goodbye
        if goodbye or not self.settings.session_grace_s:
            self._give_up(session.key, job_ids)
        else:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(self.settings.session_grace_s, self._stays_away, session.key)
            self._absent[session.key] = (job_ids, timer)
        self.log(Event.SESSION_CLOSED, session_id=session.session_id, goodbye=goodbye, unfinished=len(job_ids))

    def _stays_away(self, key: str) -> None:
        job_ids, _ = self._absent.pop(key)
        self._give_up(key, job_ids)

    def _give_up(self, key: str, job_ids: list[str]) -> None:
        self.dispatcher.session_closed(key, job_ids)


class Session:
    """One connection of a client that has said hello."""

    def __init__(
        self, door: SessionDoor, socket: PeerSocket, binary: bool, session_id: str, in_order: bool, caller: Caller
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
        self._order: InOrder[JobResult] | None = InOrder(grace_ms, held_max) if in_order else None
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
        result = job_result(job)
        if self._order is None:
            self._tell([result])
        else:
            self._tell(self._order.ended(job.job_id, result, _now_ms()))
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

    def _tell(self, results: list[JobResult]) -> None:
        for result in results:
            self._jobs.pop(result.job_id, None)
            self.send(result)

    def _watch_gap(self, order: InOrder[JobResult]) -> None:
        """Have the gap skipped when its grace is over."""
        if self._gap_timer is not None:
            self._gap_timer.cancel()
            self._gap_timer = None
        due_ms = order.due_ms
        if due_ms is not None:
            loop = asyncio.get_running_loop()
            self._gap_timer = loop.call_later(max(0, due_ms - _now_ms()) / 1000, self._gap_is_due, order)

    def _gap_is_due(self, order: InOrder[JobResult]) -> None:
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
