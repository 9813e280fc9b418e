"""The client's end of a session: keeps a connection, and brings every submit to its one answer.

Whatever was submitted and not answered is submitted again after a reconnect, under the same request ids, so that each
request is done once however often the connection breaks. It knows messages and futures, not what a user calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from scheduler.codec import to_client
from scheduler.messages import (
    PROTOCOL,
    Accepted,
    CancelJob,
    Error,
    Hello,
    JobResult,
    RejectedSubmit,
    Submit,
    ToClient,
    Welcome,
)
from scheduler.reasons import STOPPING
from scheduler.sdk.backoff import Backoff
from scheduler.sdk.connection import BROKEN, Connection, Door
from scheduler.sdk.errors import PASSING, Refused, SchedulerUnreachable, SubmitRejected, refusal

REJECTED_PAUSE_MS = 1000
"""Pause after a rejection that names no time but passes."""
REJECTED_PAUSE_MS_MAX = 30_000


@dataclass(slots=True, eq=False)
class Request:
    """A submit on its way: its job id when the scheduler has taken it, then its result."""

    submit: Submit
    retry_until_s: float
    """Until when it is submitted again after a rejection, in seconds of the loop."""
    accepted: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    result: asyncio.Future[JobResult] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    job_id: str = ""
    sent: bool = False
    unwanted: bool = False
    """It is to be cancelled as soon as its job id is known."""
    again: asyncio.TimerHandle | None = None
    """When it was rejected: the time of the next try."""


class Session:
    """`run` keeps the connection; `begin` submits over it. `on_result` gets the results that no request waits for."""

    def __init__(
        self,
        door: Door,
        session_id: str,
        *,
        token: str | None,
        resume: bool,
        in_order: bool,
        give_up_s: float,
        on_result: Callable[[JobResult], None],
        random: random.Random,
    ) -> None:
        self.session_id = session_id
        self.limits: dict[str, int] = {}
        self.cut_off: str | None = None
        """Why the scheduler cut off the connection before this one, if it did."""
        self.connects = 0
        self._door = door
        self._token = token
        self._resume = resume
        self._in_order = in_order
        self._give_up_s = give_up_s
        self._on_result = on_result
        self._random = random
        self._requests: dict[str, Request] = {}
        self._connection: Connection[ToClient] | None = None
        self._failure: Exception | None = None
        self._sends: set[asyncio.Task[None]] = set()

    async def begin(self, submit: Submit, retry_s: float) -> Request:
        """Submit; the answers come in the request's futures. Raises what has ended the session."""
        if self._failure is not None:
            raise self._failure
        known = self._requests.get(submit.request_id)
        if known is not None:
            if (known.submit.pair, known.submit.audio) != (submit.pair, submit.audio):
                raise SubmitRejected("request_id_conflict", f"{submit.request_id} stands for another submit", None)
            return known
        request = Request(submit, asyncio.get_running_loop().time() + retry_s)
        self._requests[submit.request_id] = request
        request.result.add_done_callback(lambda _: self._ended(request))
        await self._send_submit(request)
        return request

    async def cancel(self, request: Request) -> None:
        """Have the job of `request` cancelled; its result says whether it was, or its error if it was never sent."""
        if request.again is not None or not request.sent:
            self._fail(request, SubmitRejected("cancelled", "it was cancelled before the scheduler had taken it", None))
        elif not request.result.done():
            request.unwanted = True
            await self._cancel_job(request)

    async def run(self) -> None:
        """Stay connected; return when the scheduler refuses this client or was away for too long."""
        loop = asyncio.get_running_loop()
        backoff = Backoff(self._random)
        seen_s = loop.time()
        while True:
            try:
                connection = await self._greet()
                backoff.reset()
                self._connection = connection
                await self._resubmit()
                await self._read(connection)
            except Refused as refused:
                if refused.reason not in PASSING:
                    self.end(refused)
                    return
                error: Exception = refused
            except BROKEN as broken:
                error = broken
            finally:
                if self._connection is not None:
                    seen_s = loop.time()
                    lost, self._connection = self._connection, None
                    await lost.close()
            if loop.time() - seen_s > self._give_up_s:
                self.end(SchedulerUnreachable(f"{self._door.url}: {error or type(error).__name__}"))
                return
            await asyncio.sleep(backoff.pause_s())

    def end(self, error: Exception) -> None:
        """Answer all that waits, and whatever is submitted later, with `error`."""
        self._failure = self._failure or error
        for request in list(self._requests.values()):
            self._fail(request, error)

    async def _greet(self) -> Connection[ToClient]:
        connection = await Connection.open(self._door, to_client)
        try:
            resume = self._resume or self.connects > 0
            await connection.send(
                Hello(session_id=self.session_id, token=self._token, resume=resume, in_order=self._in_order)
            )
            welcome = await connection.receive()
            if isinstance(welcome, Error):
                raise refusal(welcome.reason, welcome.detail)
            if isinstance(welcome, Welcome):
                if welcome.protocol != PROTOCOL:
                    raise refusal("bad_protocol", f"the scheduler speaks {welcome.protocol}, this is {PROTOCOL}")
                self.limits = welcome.limits
                self.cut_off = welcome.cut_off
            self.connects += 1
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _resubmit(self) -> None:
        """Send what waits. Submits that come from now on are sent by themselves."""
        for request in list(self._requests.values()):
            if request.again is None:
                await self._send_submit(request)

    async def _send_submit(self, request: Request) -> None:
        """Send, if there is a connection; else, or if it breaks, the next one brings it."""
        bytes_max = self.limits.get("audio_bytes_max")
        if bytes_max is not None and len(request.submit.audio) > bytes_max:
            detail = f"{len(request.submit.audio)} bytes are above audio_bytes_max = {bytes_max}; cut it into pieces"
            self._fail(request, SubmitRejected("audio_too_large", detail, None))
        elif self._connection is not None:
            request.sent = True
            with contextlib.suppress(*BROKEN):
                await self._connection.send(request.submit)

    async def _cancel_job(self, request: Request) -> None:
        """Send the cancel; without a connection or a job id the next `accepted` brings it."""
        if self._connection is not None and request.job_id:
            with contextlib.suppress(*BROKEN):
                await self._connection.send(CancelJob(request.job_id))

    async def _read(self, connection: Connection[ToClient]) -> None:
        while True:
            message = await connection.receive()
            if isinstance(message, JobResult):
                self._result(message)
            elif isinstance(message, RejectedSubmit):
                self._rejected(message)
            elif isinstance(message, Accepted):
                await self._accepted(message)
            elif isinstance(message, Error):
                refused = refusal(message.reason, message.detail)
                if type(refused) is not Refused:  # such as a token that was taken back
                    raise refused

    async def _accepted(self, accepted: Accepted) -> None:
        request = self._requests.get(accepted.request_id)
        if request is not None:
            self._has_job(request, accepted.job_id)
            if request.unwanted:
                await self._cancel_job(request)

    def _result(self, result: JobResult) -> None:
        request = self._requests.get(result.request_id)
        if request is None:
            self._on_result(result)
        elif not request.result.done():
            self._has_job(request, result.job_id)
            request.result.set_result(result)

    def _has_job(self, request: Request, job_id: str) -> None:
        request.job_id = job_id  # after a restart of the scheduler it is another one
        if not request.accepted.done():
            request.accepted.set_result(job_id)

    def _rejected(self, rejected: RejectedSubmit) -> None:
        request = self._requests.get(rejected.request_id)
        if request is None:
            return
        if rejected.reason == STOPPING:
            return  # this scheduler ends and will close the connection; the request goes to the next one
        loop = asyncio.get_running_loop()
        after_ms = rejected.retry_after_ms
        if after_ms is not None:
            pause_ms = min(max(after_ms, 1), REJECTED_PAUSE_MS_MAX)
            due_s = loop.time() + pause_ms / 1000 * (1 + self._random.random() / 2)
            if due_s <= request.retry_until_s:
                request.again = loop.call_at(due_s, self._try_again, request)
                return
        self._fail(request, SubmitRejected(rejected.reason, rejected.detail, after_ms))

    def _try_again(self, request: Request) -> None:
        request.again = None
        task = asyncio.get_running_loop().create_task(self._send_submit(request))
        self._sends.add(task)
        task.add_done_callback(self._sends.discard)

    def _fail(self, request: Request, error: Exception) -> None:
        if not request.result.done():
            request.result.set_exception(error)

    def _ended(self, request: Request) -> None:
        """The result is there, or never will be."""
        self._requests.pop(request.submit.request_id, None)
        if request.again is not None:
            request.again.cancel()
        error = request.result.exception()
        if error is not None and not request.accepted.done():
            request.accepted.set_exception(error)
            request.accepted.exception()  # who waits for the result only, need not look at it
