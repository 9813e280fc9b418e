"""The door of clients, /ws/session: submits and cancels come in, results go out.

A session outlives a broken connection by `session_grace_s`, so that a client can come back for its results; a client
that says goodbye, or does not come back, no longer wants them, and its unfinished jobs are cancelled.
"""

from __future__ import annotations

import asyncio
import random

from starlette.types import Receive, Scope, Send

from scheduler import codec
from scheduler.config import Settings, ms
from scheduler.dispatcher import Dispatcher
from scheduler.errors import BadInput
from scheduler.job import key_of
from scheduler.messages import (
    PROTOCOL,
    Error,
    FromClient,
    Hello,
    Welcome,
)
from scheduler.seams import Observer
from scheduler.security.access import AccessRefused
from scheduler.security.caller import Caller
from scheduler.telemetry.events import Event
from scheduler.telemetry.logs import Log
from scheduler.web.admission import Admission
from scheduler.web.cut_offs import CutOffs
from scheduler.web.frame_socket import FrameSocket
from scheduler.web.guard import admit, let_in
from scheduler.web.results import Results
from scheduler.web.session import Session

CLOSE_POLICY = 1008
CLOSE_RESTART = 1012
CLOSE_REPLACED = 4000


class SessionDoor:
    """The ASGI application behind /ws/session, and the sessions that are open or may come back."""

    def __init__(
        self,
        settings: Settings,
        dispatcher: Dispatcher,
        admission: Admission,
        results: Results,
        observer: Observer,
        random: random.Random,
        log: Log,
    ) -> None:
        self.settings = settings
        self.dispatcher = dispatcher
        self.admission = admission
        self.results = results
        self.cut_offs = CutOffs()
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
        socket: FrameSocket = scope["state"]["socket"]
        await receive()  # the wish to connect
        await send({"type": "websocket.accept"})
        greeted = await self._greeting(socket)
        if greeted is None:
            return
        hello, binary = greeted
        try:
            caller = admit(scope, hello.token)
        except AccessRefused as refused:
            self.observer.connection_refused(socket.peer, refused.reason)
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

    async def _greeting(self, socket: FrameSocket) -> tuple[Hello, bool] | None:
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

    def _turn_away(self, socket: FrameSocket, error: Error, binary: bool, code: int = CLOSE_POLICY) -> None:
        socket.send_frame(codec.encode(error, binary), binary)
        socket.close_with(code, error.reason)

    def _begin(self, socket: FrameSocket, hello: Hello, binary: bool, caller: Caller) -> Session | None:
        session_id = hello.session_id or f"s-{self._random.getrandbits(64):016x}"
        key = key_of(caller.name, session_id)
        known = key in self._open or key in self._absent
        refused = None if known else self._refusal()
        if refused is not None:
            error, code = refused
            self.observer.connection_refused(socket.peer, error.reason)
            self._turn_away(socket, error, binary, code)
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
        session.send(Welcome(session_id, limits, cut_off=self.cut_offs.take(key)))
        self.log(Event.SESSION_OPENED, session_id=session_id, peer=socket.peer)
        session.take_over(job_ids, tell=hello.resume)
        return session

    def _refusal(self) -> tuple[Error, int] | None:
        """Return why a new session can't begin now, and the code to close with. One that is known may come back."""
        if self.admission.stopping:
            stopped = self.admission.stopped()
            return Error(stopped.reason, stopped.detail, stopped.retry_after_ms), CLOSE_RESTART
        if len(self) >= self.settings.sessions_max:
            detail = f"{self.settings.sessions_max} sessions are open, the most allowed"
            return Error("sessions_max", detail, ms(self.settings.retry_after_s)), CLOSE_POLICY
        return None

    def _end(self, session: Session) -> None:
        """The connection of `session` is gone, or another one has taken its place."""
        if self._open.get(session.key) is not session:
            return
        del self._open[session.key]
        job_ids = session.let_go()
        self.cut_offs.remember(session.key, session.socket.cut_off)
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
