"""A client: submits audio over a WebSocket and waits for the results, across broken connections.

Whatever was submitted and not answered is submitted again after a reconnect, under the same request ids, so that each
request is done once however often the connection breaks.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass
from types import TracebackType

from websockets.exceptions import WebSocketException

from scheduler.chance import fresh_random
from scheduler.codec import to_client
from scheduler.errors import BadInput
from scheduler.messages import Accepted, CancelJob, Error, Hello, JobResult, RejectedSubmit, Submit, ToClient, Welcome
from scheduler.sdk.backoff import Backoff
from scheduler.sdk.connection import Connection, door_url
from scheduler.sdk.errors import Refused, SchedulerUnreachable, SubmitRejected


@dataclass(slots=True, eq=False)
class _Request:
    """A submit that has not been answered."""

    submit: Submit
    result: asyncio.Future[JobResult]
    job_id: str = ""


class Client:
    """Use it as `async with Client("ws://127.0.0.1:5010") as client: result = await client.submit(audio, "en:en")`.

    At most `in_flight_max` submits are on their way at a time; more of them wait. `give_up_s` is how long a lost
    connection may take to come back before the waiting submits fail. With `in_order` the results come in the order of
    the submits; an earlier one that is missing holds the later ones back for in_order_grace_s at most.
    """

    def __init__(
        self,
        url: str,
        *,
        session_id: str | None = None,
        in_flight_max: int = 1000,
        give_up_s: float = 60.0,
        in_order: bool = False,
        random: random.Random | None = None,
    ) -> None:
        self._random = random or fresh_random()
        self._url = door_url(url, "/ws/session")
        self.session_id = session_id or f"s-{self._random.getrandbits(64):016x}"
        self.limits: dict[str, int] = {}
        """What the scheduler said that it takes, such as audio_bytes_max; empty before the first connection."""
        self.connects = 0
        self._give_up_s = give_up_s
        self._in_order = in_order
        self._room = asyncio.Semaphore(in_flight_max)
        self._requests: dict[str, _Request] = {}
        self._unwanted: set[str] = set()
        """Request ids that were given up before their job id was known."""
        self._connection: Connection[ToClient] | None = None
        self._failure: Exception | None = None
        self._runner: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Client:
        """Begin to connect."""
        self._runner = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; what has not been answered is given up."""
        await self.close()

    async def submit(
        self,
        audio: bytes,
        pair: str,
        *,
        request_id: str | None = None,
        timeout_ms: int | None = None,
        session_affinity: bool = False,
    ) -> JobResult:
        """Submit a job and return its result, whose `state` is completed, failed or cancelled.

        `request_id` makes it repeatable: the same one is the same job. Cancelling this call cancels the job. Raises
        SubmitRejected, SchedulerUnreachable or Refused.
        """
        async with self._room:
            if self._failure is not None:
                raise self._failure
            request_id = request_id or f"r-{self._random.getrandbits(96):024x}"
            submit = Submit(request_id, pair, audio, timeout_ms, session_affinity)
            request = _Request(submit, asyncio.get_running_loop().create_future())
            self._requests[request_id] = request
            try:
                if self._connection is not None:
                    with contextlib.suppress(WebSocketException, OSError):
                        await self._connection.send(submit)
                return await request.result
            except asyncio.CancelledError:
                await self._cancel(request)
                raise
            finally:
                self._requests.pop(request_id, None)

    async def close(self) -> None:
        """Say goodbye; the scheduler cancels what this client still waits for."""
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
            self._runner = None
        self._fail(SchedulerUnreachable("the client is closed"))

    async def _run(self) -> None:
        """Stay connected."""
        loop = asyncio.get_running_loop()
        backoff = Backoff(self._random)
        lost_s = loop.time()
        while True:
            try:
                connection = await self._greet()
                backoff.reset()
                await self._resubmit(connection)
                await self._read(connection)
            except Refused as refused:
                self._fail(refused)
                return
            except (WebSocketException, OSError, TimeoutError, BadInput) as error:
                if self._connection is not None:
                    lost_s = loop.time()
                if loop.time() - lost_s > self._give_up_s:
                    self._fail(SchedulerUnreachable(f"{self._url}: {error or type(error).__name__}"))
                    return
            finally:
                broken, self._connection = self._connection, None
                if broken is not None:
                    await broken.close()
            await asyncio.sleep(backoff.pause_s())

    async def _greet(self) -> Connection[ToClient]:
        connection = await Connection.open(self._url, to_client)
        try:
            hello = Hello(session_id=self.session_id, resume=self.connects > 0, in_order=self._in_order)
            await connection.send(hello)
            welcome = await connection.receive()
            if isinstance(welcome, Error):
                raise Refused(welcome.reason, welcome.detail)
            if isinstance(welcome, Welcome):
                self.limits = welcome.limits
            self.connects += 1
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _resubmit(self, connection: Connection[ToClient]) -> None:
        """Send what waits. Submits that come from now on are sent by themselves."""
        self._connection = connection
        self._unwanted.clear()
        for request in list(self._requests.values()):
            await connection.send(request.submit)

    async def _read(self, connection: Connection[ToClient]) -> None:
        while True:
            message = await connection.receive()
            if isinstance(message, JobResult):
                self._settle(message.request_id, message, None)
            elif isinstance(message, RejectedSubmit):
                rejected = SubmitRejected(message.reason, message.detail, message.retry_after_ms)
                self._settle(message.request_id, None, rejected)
            elif isinstance(message, Accepted):
                await self._accepted(connection, message)

    async def _accepted(self, connection: Connection[ToClient], accepted: Accepted) -> None:
        request = self._requests.get(accepted.request_id)
        if request is not None:
            request.job_id = accepted.job_id
        elif accepted.request_id in self._unwanted:
            self._unwanted.discard(accepted.request_id)
            await connection.send(CancelJob(accepted.job_id))

    def _settle(self, request_id: str, result: JobResult | None, error: Exception | None) -> None:
        self._unwanted.discard(request_id)
        request = self._requests.get(request_id)
        if request is None or request.result.done():
            return
        if result is not None:
            request.result.set_result(result)
        elif error is not None:
            request.result.set_exception(error)

    async def _cancel(self, request: _Request) -> None:
        if self._connection is None:
            return
        if request.job_id:
            with contextlib.suppress(WebSocketException, OSError):
                await self._connection.send(CancelJob(request.job_id))
        else:
            self._unwanted.add(request.submit.request_id)

    def _fail(self, error: Exception) -> None:
        self._failure = error
        for request in self._requests.values():
            if not request.result.done():
                request.result.set_exception(error)
