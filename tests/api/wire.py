"""A WebSocket client without rules: it sends any frames, valid or not, and reads the answers.

It blocks and has one connection at a time, so that hypothesis can drive it.
"""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import struct
from typing import NamedTuple

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
FIN = 0x80
PATIENCE_S = 15.0
LINGER_NOT = struct.pack("ii", 1, 0)


class Frame(NamedTuple):
    """One frame to send.

    `form` is the encoding of the length (0 = the shortest, else 126 or 127), `declared` the length that is written (-1
    = the true one).
    """

    first: int
    payload: bytes
    masked: bool = True
    form: int = 0
    declared: int = -1

    def encode(self, payload: bytes) -> bytes:
        """Return the bytes of the frame, with another `payload`."""
        length = (len(payload) if self.declared < 0 else self.declared) & (2**64 - 1)
        form = self.form or (127 if length > 0xFFFF else 126 if length > 125 else 0)
        mask_bit = 0x80 if self.masked else 0
        if form == 127:
            head = struct.pack("!BBQ", self.first, mask_bit | 127, length)
        elif form == 126:
            head = struct.pack("!BBH", self.first, mask_bit | 126, length & 0xFFFF)
        else:
            head = struct.pack("!BB", self.first, mask_bit | (length & 0x7F))
        if not self.masked:
            return head + payload
        return head + b"\0\0\0\0" + payload  # a mask of zeros serves as well


class Reply(NamedTuple):
    """A frame that was received; fragments are never received."""

    opcode: int
    payload: bytes


class Closed(Exception):
    """The connection has ended; `code` is the code of its close frame, 0 when none came."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code


class Wire:
    """One connection to the WebSocket at `path`, after its handshake."""

    def __init__(self, port: int, path: str, patience_s: float = PATIENCE_S) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self._buffer = b""
        self.broken = False
        """True when something was sent after which the only expected answer is a close."""
        self.may_echo = False
        """True when it may be closed with the code that it was sent."""
        try:
            self._shake_hands(port, path)
            self._socket.settimeout(patience_s)
        except BaseException:
            self._socket.close()
            raise

    def send(self, data: bytes) -> None:
        """Send bytes unchanged. Bytes that the other end no longer accepts are lost; its close is read later."""
        with contextlib.suppress(ConnectionError):
            self._socket.sendall(data)

    def next(self) -> Reply:
        """Return the next frame. Raises Closed, also when there is no close frame; TimeoutError after the patience."""
        first, length = self._take(2)
        assert not length & 0x80, "a server's frames have no mask"
        if length == 126:
            (length,) = struct.unpack("!H", self._take(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self._take(8))
        payload = self._take(length)
        assert first & FIN and not first & 0x70, f"a frame that we don't send: {first:#x}"
        if first & 0x0F == CLOSE:
            code = struct.unpack("!H", payload[:2])[0] if payload else 1005
            raise Closed(code, payload[2:].decode())
        return Reply(first & 0x0F, payload)

    def finish(self) -> None:
        """Close the sending side; the other end notices."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """Reset the connection."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        self._socket.close()

    def _shake_hands(self, port: int, path: str) -> None:
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16)).decode()
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self.send(f"{head}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        while b"\r\n\r\n" not in self._buffer:
            self._fill()
        answer, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 "), answer

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._fill()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def _fill(self) -> None:
        try:
            data = self._socket.recv(65536)
        except ConnectionError as error:
            raise Closed(0, f"{type(error).__name__} without a close frame") from None
        if not data:
            raise Closed(0, "end without a close frame")
        self._buffer += data
