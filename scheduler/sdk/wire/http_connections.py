"""Connections to one HTTP server, on the standard library: used again, bounded in time and in bytes."""

from __future__ import annotations

import http.client
import io
import select
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import SplitResult

ANSWER_BYTES_MAX = 64 * 1024 * 1024
"""Bound of the body of an answer; the largest of a scheduler, a page of jobs, is far below it."""


class NotConnected(Exception):
    """No connection could be made, so the server has received nothing; `__cause__` says why."""


class Answer(NamedTuple):
    """The status and the body of a response."""

    status: int
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether the request was done."""
        return 200 <= self.status < 300


class HttpConnections:
    """Opens connections to `base` on demand. Threads can share it: a connection has one request at a time.

    `base` may have a path, below which all requests go. `tls` is needed for https. `headers` are sent with each
    request. Proxies of the environment are not used, redirects are not followed, and no cookies are kept.
    """

    def __init__(
        self, base: SplitResult, headers: Mapping[str, str], tls: ssl.SSLContext | None, connect_s: float
    ) -> None:
        self._base = base
        self._headers = headers
        self._tls = tls
        self._connect_s = connect_s
        self._idle: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        """Close the connections that no request uses."""
        while self._idle:
            self._idle.pop().close()

    def request(
        self, method: str, path: str, timeout_s: float, body: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        """Send a request and return the answer; `timeout_s` bounds the sending, and then the whole answer.

        Raises NotConnected, OSError (TimeoutError among them), and http.client.HTTPException for an answer that is no
        HTTP, cut off or too large. After the last two the request may have been done.
        """
        connection = self._connected()
        try:
            connection.sock.settimeout(timeout_s)
            answer = self._exchange(connection, method, path, body, headers)
        except BaseException:
            connection.close()
            self.close()  # the others are likely to have ended, too
            raise
        if connection.sock is not None:  # else the server closes it
            self._idle.append(connection)
        return answer

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> Answer:
        # A server that refuses a body may answer and close before it has read all of it.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, self._base.path + path, body, {**self._headers, **headers})
        with connection.getresponse() as response:
            if (response.length or 0) > ANSWER_BYTES_MAX:
                raise http.client.HTTPException(f"its answer has {response.length:,} bytes")
            if response.length is not None:
                return Answer(response.status, response.read())
            content = response.read(ANSWER_BYTES_MAX + 1)
            if len(content) > ANSWER_BYTES_MAX:
                raise http.client.HTTPException(f"its answer has more than {ANSWER_BYTES_MAX:,} bytes")
            return Answer(response.status, content)

    def _connected(self) -> http.client.HTTPConnection:
        """Return a connection that the server has not closed. Raises NotConnected."""
        while self._idle:
            idle = self._idle.pop()
            if not _is_readable(idle):
                return idle
            idle.close()
        host, port = self._base.hostname or "", self._base.port
        connection = (
            http.client.HTTPConnection(host, port, timeout=self._connect_s)
            if self._tls is None
            else http.client.HTTPSConnection(host, port, timeout=self._connect_s, context=self._tls)
        )
        connection.response_class = _BoundedResponse
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise NotConnected from error
        return connection


class _BoundedResponse(http.client.HTTPResponse):
    """A response that has to be there within the timeout of its socket; the library bounds each read by it alone."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_UntilTimeout(sock))


class _UntilTimeout(io.RawIOBase):
    """The bytes that a socket receives within its timeout, counted from now."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._ends_at = time.monotonic() + (sock.gettimeout() or 0.0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._sock.settimeout(left_s)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _is_readable(idle: http.client.HTTPConnection) -> bool:
    """Return whether something came from the server without a request: it has closed the connection, or broken it."""
    poll = select.poll()
    poll.register(idle.sock, select.POLLIN)
    return bool(poll.poll(0))


__all__ = ["Answer", "HttpConnections", "NotConnected"]
