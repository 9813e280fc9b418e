"""HTTP/1.1 over asyncio's streams, with connections that are kept: h11 without a library that needs real sockets."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple
from urllib.parse import urlencode

import h11

READ_BYTES = 64 * 1024


class Answer(NamedTuple):
    """The answer to a request."""

    status: int
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether the status is one of 2xx."""
        return 200 <= self.status < 300


class HttpConnections:
    """Connections to one server. A call takes an idle one or opens another; a broken connection raises OSError."""

    def __init__(self, host: str, port: int, headers: list[tuple[str, str]], timeout_s: float) -> None:
        self._host, self._port, self._timeout_s = host, port, timeout_s
        self._headers = [("host", f"{host}:{port}"), *headers]
        self._idle: list[_Connection] = []

    async def ask(
        self,
        method: str,
        path: str,
        query: dict[str, object] | None = None,
        body: bytes = b"",
        headers: list[tuple[str, str]] | None = None,
    ) -> Answer:
        """Send a request and return its answer. Raises OSError (also TimeoutError) when the answer is unknown."""
        target = f"{path}?{urlencode(query)}" if query else path
        async with asyncio.timeout(self._timeout_s):
            connection = self._idle.pop() if self._idle else await _Connection.open(self._host, self._port)
            try:
                lines = [*self._headers, *(headers or []), ("content-length", str(len(body)))]
                answer = await connection.ask(h11.Request(method=method, target=target, headers=lines), body)
            except BaseException:
                connection.close()
                self.close()  # the idle ones are likely to be dead, too
                raise
        if connection.is_idle:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    def close(self) -> None:
        """Close the idle connections."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._http = h11.Connection(h11.CLIENT)

    @classmethod
    async def open(cls, host: str, port: int) -> _Connection:
        return cls(*await asyncio.open_connection(host, port))

    async def ask(self, request: h11.Request, body: bytes) -> Answer:
        for event in (request, h11.Data(data=body), h11.EndOfMessage()):
            self._writer.write(self._http.send(event) or b"")
        await self._writer.drain()
        status, parts = 0, []
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                parts.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                break
            elif isinstance(event, h11.ConnectionClosed):
                raise ConnectionResetError("the server has closed the connection")
        if self.is_idle:
            self._http.start_next_cycle()
        return Answer(status, b"".join(parts))

    async def _next_event(self) -> Any:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(READ_BYTES))
        except h11.RemoteProtocolError as error:  # cut off within an answer
            raise ConnectionResetError(str(error)) from None
        return event

    @property
    def is_idle(self) -> bool:
        """Whether another request may follow."""
        return self._http.our_state in (h11.DONE, h11.IDLE) and self._http.their_state in (h11.DONE, h11.IDLE)

    def close(self) -> None:
        self._writer.close()
