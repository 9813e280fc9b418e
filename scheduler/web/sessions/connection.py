"""One connection of a session: frames become calls of the session, and its messages become frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxpool.scheduler.errors import BadInput
from voxpool.scheduler.protocol import close_codes, codec
from voxpool.scheduler.protocol.messages import Ack, CancelJob, Error, FromClient, Submit
from voxpool.scheduler.telemetry.logs.events import Event
from voxpool.scheduler.telemetry.logs.log import Log
from voxpool.scheduler.web.views import as_rejection
from voxpool.scheduler.web.wire.frame_socket import FrameSocket

if TYPE_CHECKING:
    from voxpool.scheduler.web.sessions.session import Session

BAD_MESSAGES_MAX = 20
"""Messages that can't be used before a connection is closed."""


class SessionConnection:
    """A connection whose client has sent hello; the session decides what its messages do."""

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
                session.reject(request_id, as_rejection(error))
        return True

    def _bad_message(self, error: BadInput) -> None:
        self._bad_messages += 1
        session_id = self._session.session_id
        self._log(Event.BAD_MESSAGE, peer=self.socket.peer, session_id=session_id, reason=error.reason)
        self.send(Error(error.reason, error.detail))
        if self._bad_messages >= BAD_MESSAGES_MAX:
            self.socket.close_with(close_codes.POLICY, "too many bad messages")
