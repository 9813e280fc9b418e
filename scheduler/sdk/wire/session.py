"""The client's end of a session: keeps a connection, and gets one answer for every submit.

Unanswered submits are sent again after a reconnect, under the same request ids and in the same
order, so that each request is done once however often the connection breaks. Results are acknowledged by their
numbers, so that each is given once (docs/protocol.md). It knows messages and futures, not the API of the client.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine
from typing import Any

from voxpool.scheduler.core.jobs.reasons import STOPPING
from voxpool.scheduler.protocol.codec import to_client
from voxpool.scheduler.protocol.messages import (
    PROTOCOL,
    Accepted,
    Ack,
    CancelJob,
    Error,
    Hello,
    JobResult,
    Partial,
    RejectedSubmit,
    Submit,
    ToClient,
    Welcome,
)
from voxpool.scheduler.sdk.errors import PASSING, Refused, SchedulerUnreachable, SubmitRejected, refusal
from voxpool.scheduler.sdk.wire.acknowledgements import Acknowledgements
from voxpool.scheduler.sdk.wire.backoff import LONGEST_S, Backoff
from voxpool.scheduler.sdk.wire.connection import BROKEN, OPEN_TIMEOUT_S, Connection, Door
from voxpool.scheduler.sdk.wire.request import Request

REJECTED_PAUSE_MS_MAX = 30_000
TRIES_A_GRACE = 4
"""Connections that are tried, at least, while the scheduler keeps the session."""


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
        self._sending = False
        """Whether what waited was sent over this connection, so that new submits may follow."""
        self._failure: Exception | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._acks = Acknowledgements(self._acknowledge)

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
        if self._connection is not None and self._sending:
            await self._send_submit(request, self._connection)
        return request

    async def cancel(self, request: Request) -> None:
        """Cancel the job of `request`: its result shows whether; a submit that was never sent gets an error."""
        if request.again is not None or not request.sent:
            self._fail(
                request, SubmitRejected("cancelled", "it was cancelled before the scheduler had accepted it", None)
            )
        elif not request.result.done():
            request.unwanted = True
            await self._cancel_job(request)

    @property
    def patience_s(self) -> float:
        """The longest time from the last message of the scheduler to the last attempt to reach it."""
        return self._give_up_s + 2 * self._door.ping_s + OPEN_TIMEOUT_S

    async def run(self) -> None:
        """Stay connected; return when the scheduler refuses this client or was away for too long."""
        loop = asyncio.get_running_loop()
        backoff = Backoff(self._random)
        seen_s = loop.time()
        while True:
            resubmits: asyncio.Task[None] | None = None
            try:
                connection = await self._greet(backoff)
                backoff.reset()
                self._connection = connection
                resubmits = loop.create_task(self._resubmit(connection))
                await self._read(connection)
            except Refused as refused:
                if refused.reason not in PASSING:
                    self.end(refused)
                    return
                error: Exception = refused
            except BROKEN as broken:
                error = broken
            finally:
                if resubmits is not None:
                    resubmits.cancel()
                if self._connection is not None:
                    seen_s = loop.time()
                    lost, self._connection = self._connection, None
                    self._sending = False
                    await lost.close()
            left_s = seen_s + self._give_up_s - loop.time()
            if left_s <= 0:
                self.end(SchedulerUnreachable(f"{self._door.url}: {error or type(error).__name__}"))
                return
            await asyncio.sleep(min(backoff.pause_s(), left_s))

    def end(self, error: Exception) -> None:
        """Answer all waiting requests, and all later ones, with `error`."""
        self._failure = self._failure or error
        self._acks.stop()
        for request in list(self._requests.values()):
            self._fail(request, error)

    async def _greet(self, backoff: Backoff) -> Connection[ToClient]:
        loop = asyncio.get_running_loop()
        end_s = loop.time() + OPEN_TIMEOUT_S
        connection = await Connection.open(self._door, to_client)
        try:
            async with asyncio.timeout_at(end_s):
                await connection.send(self._hello())
                welcome = await connection.receive()
            if isinstance(welcome, Error):
                raise refusal(welcome.reason, welcome.detail)
            if isinstance(welcome, Welcome):
                self._welcomed(welcome, backoff)
            self.connects += 1
        except TimeoutError:
            connection.abort()
            raise
        except BaseException:
            await connection.close()
            raise
        return connection

    def _hello(self) -> Hello:
        return Hello(
            session_id=self.session_id,
            token=self._token,
            resume=self._resume or self.connects > 0,
            in_order=self._in_order,
            acks=True,
            generation=self._acks.generation or None,
            ack=self._acks.handled,
            patience_ms=round(self.patience_s * 1000),
        )

    def _welcomed(self, welcome: Welcome, backoff: Backoff) -> None:
        if welcome.protocol != PROTOCOL:
            raise refusal("bad_protocol", f"the scheduler speaks {welcome.protocol}, this is {PROTOCOL}")
        self.limits = welcome.limits
        self.cut_off = welcome.cut_off
        grace_ms = welcome.limits.get("session_grace_ms")
        if grace_ms:
            backoff.longest_s = min(LONGEST_S, grace_ms / 1000 / TRIES_A_GRACE)
        self._acks.welcomed(welcome.generation)

    async def _resubmit(self, connection: Connection[ToClient]) -> None:
        """Send the waiting messages in their order; submits that come meanwhile are sent after them."""

        def waits(request: Request) -> bool:
            return request.again is None and request.sent_over is not connection and not request.result.done()

        while waiting := [request for request in self._requests.values() if waits(request)]:
            for request in waiting:
                if waits(request):
                    await self._send_submit(request, connection)
        self._sending = True

    async def _send_submit(self, request: Request, connection: Connection[ToClient]) -> None:
        """Send; if the connection breaks, the next one brings it."""
        bytes_max = self.limits.get("audio_bytes_max")
        if bytes_max is not None and len(request.submit.audio) > bytes_max:
            detail = f"{len(request.submit.audio)} bytes are above audio_bytes_max = {bytes_max}; cut it into pieces"
            self._fail(request, SubmitRejected("audio_too_large", detail, None))
            return
        request.sent = True
        request.sent_over = connection
        request.submit.ack = self._acks.said_by_submit()
        with contextlib.suppress(*BROKEN):
            await connection.send(request.submit)

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
            elif isinstance(message, Partial):
                self._partial(message)
            elif isinstance(message, RejectedSubmit):
                self._rejected(message)
            elif isinstance(message, Accepted):
                self._accepted(message)
            elif isinstance(message, Error):
                refused = refusal(message.reason, message.detail)
                if type(refused) is not Refused:  # such as a token that was revoked
                    raise refused

    def _accepted(self, accepted: Accepted) -> None:
        request = self._requests.get(accepted.request_id)
        if request is not None:
            self._has_job(request, accepted.job_id)
            if request.unwanted:
                self._spawn(self._cancel_job(request))

    def _result(self, result: JobResult) -> None:
        if self._acks.came_before(result.number):
            return
        request = self._requests.get(result.request_id)
        if request is None:
            self._on_result(result)
        elif not request.result.done():
            self._has_job(request, result.job_id)
            request.result.set_result(result)
        self._acks.was_handled(result.number)

    def _partial(self, partial: Partial) -> None:
        """Keep it as the newest one; those before it are dropped if nobody has looked at them."""
        request = self._requests.get(partial.request_id)
        if request is not None and request.job_id == partial.job_id:
            request.partial = partial
            news, request.news = request.news, asyncio.get_running_loop().create_future()
            news.set_result(None)

    def _has_job(self, request: Request, job_id: str) -> None:
        request.job_id = job_id  # after a restart of the scheduler it is another one
        if not request.accepted.done():
            request.accepted.set_result(None)

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
        request.again = request.sent_over = None
        if self._connection is not None and self._sending:
            self._spawn(self._send_submit(request, self._connection))

    def _acknowledge(self, number: int) -> None:
        if self._connection is not None:  # otherwise the next hello does it
            self._spawn(self._send_ack(self._connection, number))

    async def _send_ack(self, connection: Connection[ToClient], number: int) -> None:
        with contextlib.suppress(*BROKEN):
            await connection.send(Ack(number))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` beside the reading, which must not wait for a write."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _fail(self, request: Request, error: Exception) -> None:
        if not request.result.done():
            request.result.set_exception(error)

    def _ended(self, request: Request) -> None:
        """The result has come, or never will."""
        self._requests.pop(request.submit.request_id, None)
        if request.again is not None:
            request.again.cancel()
        error = request.result.exception()
        if error is not None and not request.accepted.done():
            request.accepted.set_exception(error)
            request.accepted.exception()  # a caller that waits for the result only need not look at it
