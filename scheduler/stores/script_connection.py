"""The connection of the script calls. redis-py opens it (TLS, password, database); then hiredis packs and parses.

All commands of a flush are sent in one write, and its answers are handed over together. The connection carries one
exchange at a time: bytes that nobody asked for break it, as does everything that is no answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from hiredis import PushNotification, Reader, pack_command
from redis import exceptions
from redis._parsers import BaseParser

Command = tuple[str | int | bytes, ...]
RAW = "MGET"
"""The command whose answer is bytes: audio."""
_NOT_YET = object()
_pack: Callable[[Command], bytes] = pack_command  # type: ignore[assignment]  # its stub knows commands of one word
JOINED_BYTES_MAX = 65536
"""Commands up to this size are copied into one piece; audio is not copied again."""


class ScriptConnection:
    """Exchanges commands for answers over `connection`, a connection of redis-py that nothing else uses."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._answers: _Answers | None = None

    @property
    def is_connected(self) -> bool:
        """Whether it was connected and has not been given up since; the server may have closed it."""
        return self._answers is not None

    async def connect(self) -> None:
        """Connect, or raise what redis-py raises."""
        await self._connection.connect()
        transport: asyncio.Transport = self._connection._writer.transport
        # A server that refuses the connection says so unasked: it is the answer to the first command.
        self._answers = _Answers(transport, bytes(self._connection._reader._buffer))
        transport.set_protocol(self._answers)
        if not transport.is_reading():
            transport.resume_reading()

    async def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """Send `commands` at once and return what each was answered, a ResponseError where that is an error.

        Raises redis-py's ConnectionError and InvalidResponse, and ValueError for text that is no UTF-8. After any
        exception, a cancellation among them, the caller must disconnect: answers may be on their way.
        """
        answers = self._answers
        if answers is None:
            raise exceptions.ConnectionError("not connected")
        if not commands:
            return []
        return await answers.of([_pack(command) for command in commands], [command[0] != RAW for command in commands])

    async def disconnect(self) -> None:
        """Close it at once; it may be connected again."""
        answers, self._answers = self._answers, None
        if answers is not None:
            answers.transport.abort()
        await self._connection.disconnect(nowait=True)


class _Answers(asyncio.Protocol):
    """The receiving side: counts answers until the flush on its way has all of them."""

    def __init__(self, transport: asyncio.Transport, early: bytes) -> None:
        self.transport = transport
        self._early = early
        self._loop = asyncio.get_running_loop()
        self._reader = Reader(
            protocolError=exceptions.InvalidResponse,
            replyError=BaseParser.parse_error,
            encoding="utf-8",
            notEnoughData=_NOT_YET,
        )
        self._are_texts: list[bool] = []
        """Which of the answers on their way are decoded."""
        self._got: list[Any] = []
        self._waiter: asyncio.Future[list[Any]] | None = None
        self._broken: Exception | None = None
        """Why nothing can be asked any more."""

    def of(self, packed: list[bytes], are_texts: list[bool]) -> asyncio.Future[list[Any]]:
        """Send `packed` commands; the future has their answers, or the reason why there are none."""
        assert self._waiter is None, "a second exchange while one is on its way"
        self._waiter = waiter = self._loop.create_future()
        self._are_texts = are_texts
        if self._broken is not None:
            self._fail(self._broken)
        elif sum(map(len, packed)) <= JOINED_BYTES_MAX:
            self.transport.write(b"".join(packed))
        else:
            self.transport.writelines(packed)
        if self._early:
            early, self._early = self._early, b""
            self.data_received(early)
        return waiter

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._waiter is None:
            self._fail(exceptions.InvalidResponse("the server sent more than it was asked for"))
            return
        reader, got, are_texts = self._reader, self._got, self._are_texts
        try:
            reader.feed(data)
            while len(got) < len(are_texts):
                answer = reader.gets(are_texts[len(got)])
                if answer is _NOT_YET:
                    return
                _check(answer)
                got.append(answer)
        except (exceptions.RedisError, ValueError, MemoryError) as error:
            self._fail(error)
            return
        waiter, self._waiter, self._got = self._waiter, None, []
        if not waiter.done():
            waiter.set_result(got)
        if reader.has_data():
            self._fail(exceptions.InvalidResponse("the server sent more than it was asked for"))

    def connection_lost(self, error: Exception | None) -> None:
        """The connection has ended."""
        self._fail(exceptions.ConnectionError(str(error) if error else "Connection closed by server."))

    def _fail(self, error: Exception) -> None:
        waiter, self._waiter, self._got = self._waiter, None, []
        self._broken = self._broken or error
        self.transport.abort()
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)


def _check(answer: Any) -> None:
    """Raise what redis-py raises for an answer that ends the connection."""
    if isinstance(answer, list):
        if isinstance(answer, PushNotification):
            raise exceptions.InvalidResponse("the server sent a push, which RESP 2 has not")
        if answer and isinstance(answer[0], exceptions.ConnectionError):
            raise answer[0]
    elif isinstance(answer, Exception) and not isinstance(answer, exceptions.ResponseError):
        raise answer
