"""The asynchronous client: submits audio and gets results over one WebSocket, across broken connections."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Unpack

from voxpool.scheduler.chance import fresh_random
from voxpool.scheduler.protocol.messages import JobResult, Partial, Submit
from voxpool.scheduler.sdk.errors import ClientClosed, SchedulerUnreachable
from voxpool.scheduler.sdk.given import given_request_id, given_token, given_url
from voxpool.scheduler.sdk.http import HttpClient
from voxpool.scheduler.sdk.many import Done, in_parallel
from voxpool.scheduler.sdk.options import JobOptions
from voxpool.scheduler.sdk.tracing import current_trace
from voxpool.scheduler.sdk.wire.connection import PING_S, Door
from voxpool.scheduler.sdk.wire.request import Request
from voxpool.scheduler.sdk.wire.session import Session


def _ignore(result: JobResult) -> None:
    """A result that no call waits for."""


class Client:
    """Use it as `async with Client("ws://127.0.0.1:5010") as client: result = await client.submit(audio, "en:en")`.

    At most `in_flight_max` submits are in flight at a time; further ones wait. `give_up_s` is how long a lost
    connection may take to come back before the waiting submits fail; the scheduler is asked to keep the session
    for that time (limits["session_grace_ms"] is what it grants). A connection is lost when nothing comes for
    twice `ping_s`, not even the answer to a ping, or when it takes nothing for `ping_s`. A submit that was
    rejected because of a bound is sent again at the time that the scheduler gives, for `retry_s` at most (0: it
    raises at once). With `in_order` the results come in the order of the submits, across reconnects, too; an
    earlier one that is missing holds the later ones back for in_order_grace_s at most. A submit that is sent
    again, after a refusal or because its scheduler stops, takes a new place in that order.

    `token` and `ca_file` (a PEM file; for wss) are those of the scheduler; without `url` and `token`, VOXPOOL_URL
    and VOXPOOL_TOKEN are used. A process that takes the `session_id` of one that broke off, with `resume`, gets the
    results that the other one has not handled: `on_result` is called with each, and with nothing that `submit` returns.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        ca_file: str | Path | None = None,
        session_id: str | None = None,
        resume: bool = False,
        on_result: Callable[[JobResult], None] = _ignore,
        in_flight_max: int = 1000,
        give_up_s: float = 60.0,
        retry_s: float = 0.0,
        ping_s: float = PING_S,
        in_order: bool = False,
        random: random.Random | None = None,
    ) -> None:
        self._random = random or fresh_random()
        self._url, self._token, self._ca_file = given_url(url), given_token(token), ca_file
        self._retry_s = retry_s
        self._room = asyncio.Semaphore(in_flight_max)
        self._session = Session(
            Door.of(self._url, "/ws/session", ca_file, ping_s),
            session_id or f"s-{self._random.getrandbits(64):016x}",
            token=self._token,
            resume=resume,
            in_order=in_order,
            give_up_s=give_up_s,
            on_result=on_result,
            random=self._random,
        )
        self._runner: asyncio.Task[None] | None = None

    @property
    def session_id(self) -> str:
        """The name of this client's session."""
        return self._session.session_id

    @property
    def limits(self) -> dict[str, int]:
        """The limits of the scheduler, such as audio_bytes_max; empty before the first connection."""
        return self._session.limits

    @property
    def connects(self) -> int:
        """How often a connection was made."""
        return self._session.connects

    async def __aenter__(self) -> Client:
        """Begin to connect."""
        self._runner = asyncio.create_task(self._session.run())
        self._runner.add_done_callback(self._ran)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; unanswered submits are given up."""
        await self.close()

    async def submit(
        self, audio: bytes, pair: str, *, request_id: str | None = None, **options: Unpack[JobOptions]
    ) -> JobResult:
        """Submit a job and return its result, whose `state` is completed, failed or cancelled.

        `request_id` makes it repeatable: the same one is the same job. Cancelling this call cancels the job. The span
        of OpenTelemetry that the caller is in, if there is one, is the parent of the job's. Raises SubmitRejected,
        SchedulerUnreachable, Refused or ClientClosed.
        """
        return await self._result(await self._begin(audio, pair, request_id, options))

    async def start(
        self,
        audio: bytes,
        pair: str,
        *,
        request_id: str | None = None,
        partials: bool = False,
        **options: Unpack[JobOptions],
    ) -> Started:
        """Submit a job and return as soon as the scheduler has accepted it. Takes and raises what `submit` does.

        With `partials` the worker may send what it knows before the job ends: `async for` over `Started.partials()`.
        """
        request = await self._begin(audio, pair, request_id, options, partials)
        try:
            await asyncio.shield(request.accepted)
        except asyncio.CancelledError:
            await self._session.cancel(request)
            raise
        return Started(self, request)

    async def map(
        self, audios: Iterable[bytes], pair: str, *, at_most: int = 32, **options: Unpack[JobOptions]
    ) -> AsyncGenerator[Done, None]:
        """Submit many, `at_most` at a time, and yield each outcome as it comes; `audios` is read as needed.

        Rejections are yielded, too. Leaving the loop early cancels the jobs in flight.
        """

        async def one(audio: bytes) -> JobResult:
            return await self.submit(audio, pair, **options)

        async with contextlib.aclosing(in_parallel(audios, one, at_most)) as many:
            async for done in many:
                yield done

    async def why(self, job_id: str) -> Any:
        """Return why a job went to its node, or waits, as GET /v1/jobs/{id}/why does. Raises UnknownJob."""
        return await asyncio.to_thread(self._ask_why, job_id)

    async def close(self) -> None:
        """Close the session; the scheduler cancels the jobs that this client still waits for."""
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
            self._runner = None
        self._session.end(ClientClosed("the client is closed"))

    async def _begin(
        self, audio: bytes, pair: str, request_id: str | None, options: JobOptions, partials: bool = False
    ) -> Request:
        # `ack` is the session's business: given here, it is a TypeError when a caller has it among the options.
        name = given_request_id(request_id, self._random)
        submit = Submit(name, pair, audio, trace=current_trace(), partials=partials, ack=0, **options)
        await self._room.acquire()
        try:
            request = await self._session.begin(submit, self._retry_s)
        except BaseException:
            self._room.release()
            raise
        request.result.add_done_callback(lambda _: self._room.release())
        return request

    async def _result(self, request: Request) -> JobResult:
        try:
            return await asyncio.shield(request.result)
        except asyncio.CancelledError:
            await self._session.cancel(request)
            raise

    def _ran(self, runner: asyncio.Task[None]) -> None:
        """Report the bug that ended the runner to all callers."""
        if not runner.cancelled() and (error := runner.exception()) is not None:
            self._session.end(SchedulerUnreachable(f"a bug of the client: {type(error).__name__}: {error}"))

    def _ask_why(self, job_id: str) -> Any:
        with HttpClient(self._url, token=self._token, ca_file=self._ca_file) as client:
            return client.why(job_id)


class Started:
    """A job that the scheduler has accepted."""

    def __init__(self, client: Client, request: Request) -> None:
        self._client = client
        self._request = request

    @property
    def job_id(self) -> str:
        """The job's id; another one when the scheduler was restarted and the job submitted again."""
        return self._request.job_id

    @property
    def request_id(self) -> str:
        """The request id, which makes the submit repeatable."""
        return self._request.submit.request_id

    async def result(self) -> JobResult:
        """Wait for the result. Cancelling this call cancels the job. Raises what `Client.submit` raises."""
        return await self._client._result(self._request)

    def partials(self) -> AsyncGenerator[Partial, None]:
        """Yield what the worker knows so far, the newest each time, until the job has ended; `result` has the output.

        Any of them may be missing, also the last one; one of a later attempt begins anew. Without `partials=True` at
        `start`, or from a worker that sends none, there are none.
        """
        return self._request.partials()

    async def cancel(self) -> None:
        """Cancel the job unless it has ended; the state of its result shows which."""
        await self._client._session.cancel(self._request)
