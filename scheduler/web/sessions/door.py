"""The door of clients, /ws/session: which sessions there are, and which connection each of them has.

A session outlives a broken connection for the time that its client asked for in hello, `session_grace_s` at
most. A client that closes its session, or does not come back, no longer wants its results:
its unfinished jobs are cancelled (session_gone).
"""

from __future__ import annotations

import asyncio
import random

from starlette.types import Receive, Scope, Send

from voxpool.scheduler.config import Settings, ms
from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import key_of
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.errors import BadInput
from voxpool.scheduler.protocol import close_codes, codec
from voxpool.scheduler.protocol.messages import (
    PROTOCOL,
    Error,
    FromClient,
    Hello,
    Welcome,
)
from voxpool.scheduler.security.authentication import AccessRefused
from voxpool.scheduler.security.caller import Caller
from voxpool.scheduler.telemetry.logs.events import Event
from voxpool.scheduler.telemetry.logs.log import Log
from voxpool.scheduler.web.gates.authorization import admit, let_in
from voxpool.scheduler.web.gates.rate_limit import RateLimit
from voxpool.scheduler.web.sessions.results import Results
from voxpool.scheduler.web.sessions.session import Session, SessionConnection
from voxpool.scheduler.web.wire.cut_offs import CutOffs
from voxpool.scheduler.web.wire.frame_socket import FrameSocket


class SessionDoor:
    """The ASGI application behind /ws/session, and the sessions that are connected or may come back."""

    def __init__(
        self,
        settings: Settings,
        dispatcher: Dispatcher,
        rate_limit: RateLimit,
        results: Results,
        observer: Observer,
        random: random.Random,
        log: Log,
    ) -> None:
        self.settings = settings
        self.dispatcher = dispatcher
        self.rate_limit = rate_limit
        self.results = results
        self.cut_offs = CutOffs()
        self.observer = observer
        self.log = log
        self._random = random
        self._sessions: dict[str, Session] = {}
        self._absent: dict[str, asyncio.TimerHandle] = {}
        """Key of each session without a connection -> the timer that ends its grace."""

    def __len__(self) -> int:
        return len(self._sessions)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until it ends."""
        socket: FrameSocket = scope["state"]["socket"]
        await receive()  # the request to connect
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
            session = self._session_of(socket, hello, binary, caller)
            if session is None:
                return
            connection = self._begin(session, socket, hello, binary)
            try:
                socket.serve(connection.on_frame)
                while (received := await socket.next_frame()) is not None:
                    connection.on_frame(*received)
                    socket.serve(connection.on_frame)
                    await asyncio.sleep(0)
            finally:
                self._end(session, connection)

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

    def _turn_away(self, socket: FrameSocket, error: Error, binary: bool, code: int = close_codes.POLICY) -> None:
        socket.send_frame(codec.encode(error, binary), binary)
        socket.close_with(code, error.reason)

    def _session_of(self, socket: FrameSocket, hello: Hello, binary: bool, caller: Caller) -> Session | None:
        """Return the session that `hello` names, a new one if need be; None when it was refused."""
        session_id = hello.session_id or f"s-{self._random.getrandbits(64):016x}"
        key = key_of(caller.name, session_id)
        refused = None if key in self._sessions else self._refusal()
        if refused is not None:
            error, code = refused
            self.observer.connection_refused(socket.peer, error.reason)
            self._turn_away(socket, error, binary, code)
            return None
        older = self._sessions.get(key)
        if older is not None and older.connection is not None:
            replaced = older.connection
            self._end(older, replaced)
            replaced.socket.close_with(close_codes.REPLACED, "replaced")
        if key not in self._sessions:
            self._sessions[key] = Session(self, session_id, caller, f"{self._random.getrandbits(64):016x}")
        return self._sessions[key]

    def _begin(self, session: Session, socket: FrameSocket, hello: Hello, binary: bool) -> SessionConnection:
        """Welcome the client and go on with its session over this connection."""
        timer = self._absent.pop(session.key, None)
        if timer is not None:
            timer.cancel()
        longest_ms = ms(self.settings.session_grace_s)
        session.grace_ms = longest_ms if hello.patience_ms is None else min(hello.patience_ms, longest_ms)
        limits = {
            "audio_bytes_max": self.settings.audio_bytes_max,
            "output_bytes_max": self.settings.output_bytes_max,
            "session_grace_ms": session.grace_ms,
            "unacknowledged_max": self.settings.unacknowledged_max,
        }
        connection = SessionConnection(session, socket, binary, self.log)
        cut_off = self.cut_offs.take(session.key)
        connection.send(Welcome(session.session_id, limits, cut_off=cut_off, generation=session.generation))
        self.log(Event.SESSION_OPENED, session_id=session.session_id, peer=socket.peer)
        session.attach(connection, hello)
        return connection

    def _refusal(self) -> tuple[Error, int] | None:
        """Return why a new session can't begin now, and the code to close with. A known one may always come back."""
        if self.rate_limit.stopping:
            stopped = self.rate_limit.stopped()
            return Error(stopped.reason, stopped.detail, stopped.retry_after_ms), close_codes.RESTART
        if len(self) >= self.settings.sessions_max:
            detail = f"{self.settings.sessions_max} sessions are open, the most allowed"
            return Error("sessions_max", detail, ms(self.settings.retry_after_s)), close_codes.POLICY
        return None

    def _end(self, session: Session, connection: SessionConnection) -> None:
        """`connection` is gone, or another one has taken its place."""
        if session.connection is not connection:
            return
        session.detach()
        self.cut_offs.remember(session.key, connection.socket.cut_off)
        goodbye, unfinished = connection.socket.peer_said_goodbye, session.unfinished
        if goodbye or not session.grace_ms:
            self._give_up(session)
        else:
            loop = asyncio.get_running_loop()
            self._absent[session.key] = loop.call_later(session.grace_ms / 1000, self._stays_away, session.key)
        self.log(Event.SESSION_CLOSED, session_id=session.session_id, goodbye=goodbye, unfinished=unfinished)

    def _stays_away(self, key: str) -> None:
        del self._absent[key]
        self._give_up(self._sessions[key])

    def _give_up(self, session: Session) -> None:
        del self._sessions[session.key]
        self.dispatcher.session_closed(session.key, session.release())
