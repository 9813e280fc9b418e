"""One WebSocket of a client or node user, in either encoding: it sends and receives messages, and answers pings.

It runs the state machine of `websockets` on a plain socket, so a connection costs one open file and no thread. Under
gevent a waiting call lets other users run; without gevent it blocks. One greenlet reads, any may send.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Generic, TypeVar
from urllib.parse import urlsplit

import msgspec
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from voxpool.scheduler.errors import VoxpoolError
from voxpool.scheduler.protocol.codec import Codec, encode

M = TypeVar("M")

OPEN_TIMEOUT_S = 10.0
READ_BYTES = 65_536
CLOSE_ABNORMAL = 1006
"""Close code of a connection that ended without a close frame (RFC 6455, 7.4.1)."""


class Closed(VoxpoolError):
    """The connection has ended; `code` and `reason` are those of the peer's close frame."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"closed with {code} {reason}".rstrip())
        self.code = code
        self.reason = reason


class NotOpened(VoxpoolError):
    """The connection was not opened; `status` is the HTTP status of the answer, 0 = none."""

    def __init__(self, why: str, status: int = 0) -> None:
        super().__init__(why)
        self.status = status


class Wire(Generic[M]):
    """An open connection, made by `open`."""

    def __init__(self, sock: socket.socket, protocol: ClientProtocol, codec: Codec[M], binary: bool) -> None:
        self._socket = sock
        self._protocol = protocol
        self._codec = codec
        self.binary = binary
        self._sending = threading.RLock()
        self._frames = [event for event in protocol.events_received() if isinstance(event, Frame)]
        """Received frames that were not read; they may have arrived with the handshake's answer."""
        self._part = bytearray()
        self._part_is_binary = False
        self.on_pong: Callable[[bytes], None] = lambda data: None
        """Called by the reader with the data of the ping."""
        self.bytes_out = 0

    @classmethod
    def open(
        cls,
        url: str,
        codec: Codec[M],
        *,
        binary: bool,
        tls: ssl.SSLContext | None = None,
        token: str = "",
        timeout_s: float = OPEN_TIMEOUT_S,
    ) -> Wire[M]:
        """Connect to `url`, a ws:// or wss:// one. Raises NotOpened."""
        parts = urlsplit(url)
        protocol = ClientProtocol(parse_uri(url), max_size=None)
        try:
            port = parts.port or (443 if parts.scheme == "wss" else 80)
            sock = socket.create_connection((parts.hostname or "", port), timeout_s)
        except OSError as error:
            raise NotOpened(str(error) or type(error).__name__) from None
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                sock = tls.wrap_socket(sock, server_hostname=parts.hostname)
            _shake_hands(sock, protocol, token)
            sock.settimeout(None)
        except OSError as error:
            sock.close()
            raise NotOpened(str(error) or type(error).__name__) from None
        except BaseException:
            sock.close()
            raise
        wire = cls(sock, protocol, codec, binary)
        with contextlib.suppress(Closed):  # answers to frames that arrived at once: a ping, a close frame
            wire._flush()
        return wire

    def send(self, message: msgspec.Struct) -> int:
        """Send `message` and return its bytes. Raises Closed."""
        frame = encode(message, self.binary)
        self.send_frame(frame, self.binary)
        return len(frame)

    def send_frame(self, data: bytes, binary: bool, fin: bool = True) -> None:
        """Send one raw frame; with `fin` False it is the first frame of a message. Raises Closed."""
        with self._sending:
            self._must_be_open()
            if binary:
                self._protocol.send_binary(data, fin)
            else:
                self._protocol.send_text(data, fin)
            self._flush()

    def send_raw(self, data: bytes) -> None:
        """Send bytes that are not a frame. Raises Closed."""
        with self._sending:
            self._must_be_open()
            self._write(data)

    def ping(self, data: bytes) -> None:
        """Send a ping; `on_pong` is called with its pong. Raises Closed."""
        with self._sending:
            self._must_be_open()
            self._protocol.send_ping(data)
            self._flush()

    def receive(self, timeout_s: float | None = None) -> M:
        """Return the next message; without `timeout_s` wait for ever.

        Raises Closed, TimeoutError, and BadInput for a message that this version can't read.
        """
        data, binary = self.receive_frame(timeout_s)
        return self._codec.decode(data, binary)

    def receive_frame(self, timeout_s: float | None = None) -> tuple[bytes, bool]:
        """Return the next raw message, and whether it was binary. Raises Closed and TimeoutError."""
        while True:
            while self._frames:
                frame = self._frames.pop(0)
                if frame.opcode is Opcode.PONG:
                    self.on_pong(bytes(frame.data))
                    continue
                if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                    continue
                if frame.opcode is not Opcode.CONT:
                    self._part_is_binary = frame.opcode is Opcode.BINARY
                    if frame.fin:
                        return bytes(frame.data), self._part_is_binary
                self._part += frame.data
                if frame.fin:
                    whole, self._part = bytes(self._part), bytearray()
                    return whole, self._part_is_binary
            self._read(timeout_s)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame and close the socket without waiting for the answer."""
        with contextlib.suppress(Closed), self._sending:
            if self._protocol.state is State.OPEN:
                self._protocol.send_close(code, reason)
                self._flush()
        self.abort()

    def abort(self) -> None:
        """Close the socket without a close frame."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the reader
        self._socket.close()

    def _read(self, timeout_s: float | None) -> None:
        if self._protocol.state is State.CLOSED:
            raise self._closed()
        try:
            if timeout_s is not None:
                self._socket.settimeout(timeout_s)
            data = self._socket.recv(READ_BYTES)
        except TimeoutError:
            raise
        except OSError:
            data = b""
        finally:
            if timeout_s is not None:
                with contextlib.suppress(OSError):
                    self._socket.settimeout(None)
        with self._sending:
            if data:
                self._protocol.receive_data(data)
            else:
                self._protocol.receive_eof()
            self._frames += [event for event in self._protocol.events_received() if isinstance(event, Frame)]
            with contextlib.suppress(Closed):  # pongs and the answer to a close frame
                self._flush()
        if not data and not self._frames:
            raise self._closed()

    def _must_be_open(self) -> None:
        if self._protocol.state is not State.OPEN:
            raise self._closed()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._write(data)
            else:  # the end of our stream
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_WR)

    def _write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError:
            raise self._closed() from None
        self.bytes_out += len(data)

    def _closed(self) -> Closed:
        received = self._protocol.close_rcvd
        return Closed(CLOSE_ABNORMAL, "") if received is None else Closed(int(received.code), received.reason)


def _shake_hands(sock: socket.socket, protocol: ClientProtocol, token: str) -> None:
    """Request the upgrade and read the answer. Raises NotOpened and OSError."""
    request = protocol.connect()
    if token:
        request.headers["Authorization"] = f"Bearer {token}"
    protocol.send_request(request)
    sock.sendall(b"".join(protocol.data_to_send()))
    while protocol.state is State.CONNECTING and protocol.handshake_exc is None:
        data = sock.recv(READ_BYTES)
        if data:
            protocol.receive_data(data)
        else:
            protocol.receive_eof()
            break
    failed = protocol.handshake_exc
    if isinstance(failed, InvalidStatus):
        raise NotOpened(str(failed), failed.response.status_code)
    if failed is not None or protocol.state is State.CONNECTING:  # otherwise it was opened, and may be closed again
        why = failed if isinstance(failed, InvalidHandshake) else "the connection ended in the handshake"
        raise NotOpened(str(why))
