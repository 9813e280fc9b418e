"""The client for plain scripts: the asynchronous one on a loop in a thread of its own, behind calls that wait.

It is no second implementation over HTTP: so reconnects, resubmits, rejections and results are exactly the same, and the
connection stays alive while the script does something else.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterable, Iterator
from types import TracebackType
from typing import Any, TypeVar, Unpack

from voxpool.scheduler.protocol.messages import JobResult, Partial
from voxpool.scheduler.sdk.client import Client, Started
from voxpool.scheduler.sdk.errors import ClientClosed
from voxpool.scheduler.sdk.many import Done
from voxpool.scheduler.sdk.options import ClientOptions, JobOptions
from voxpool.scheduler.sdk.wire.event_loop import new_event_loop

T = TypeVar("T")


class SyncClient:
    """Use it as `with SyncClient("ws://127.0.0.1:5010") as client: result = client.submit(audio, "en:en")`.

    Options and calls are those of `Client`; several threads may use one. Ctrl-C in a call cancels its job.
    """

    def __init__(self, url: str | None = None, **options: Unpack[ClientOptions]) -> None:
        self._client = Client(url, **options)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def session_id(self) -> str:
        """The name of this client's session."""
        return self._client.session_id

    def __enter__(self) -> SyncClient:
        """Begin to connect."""
        self._loop = new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="voxpool-client", daemon=True)
        self._thread.start()
        self._call(self._client.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; unanswered submits are given up."""
        self.close()

    def submit(
        self, audio: bytes, pair: str, *, request_id: str | None = None, **options: Unpack[JobOptions]
    ) -> JobResult:
        """Submit a job and wait for its result. See `Client.submit`."""
        return self._call(self._client.submit(audio, pair, request_id=request_id, **options))

    def start(
        self,
        audio: bytes,
        pair: str,
        *,
        request_id: str | None = None,
        partials: bool = False,
        **options: Unpack[JobOptions],
    ) -> SyncStarted:
        """Submit a job and return as soon as the scheduler has accepted it. See `Client.start`."""
        started = self._call(self._client.start(audio, pair, request_id=request_id, partials=partials, **options))
        return SyncStarted(self, started)

    def map(
        self, audios: Iterable[bytes], pair: str, *, at_most: int = 32, **options: Unpack[JobOptions]
    ) -> Iterator[Done]:
        """Submit many, `at_most` at a time, and yield each outcome as it comes. See `Client.map`.

        `audios` is read in the client's thread: reading a file there is fine, working for seconds is not.
        """
        return self._each(self._client.map(audios, pair, at_most=at_most, **options))

    def why(self, job_id: str) -> Any:
        """Return why a job went to its node, or waits. See `Client.why`."""
        return self._call(self._client.why(job_id))

    def close(self) -> None:
        """Close the session; the scheduler cancels the jobs that this client still waits for."""
        if self._loop is None or self._thread is None:
            return
        loop, thread = self._loop, self._thread
        self._call(self._client.close())
        self._loop = self._thread = None
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    def _each(self, source: AsyncGenerator[T, None]) -> Iterator[T]:
        """Yield each of `source`, and close it when the loop over it is left."""

        async def following() -> T | None:
            return await anext(source, None)

        async def stop() -> None:
            await source.aclose()

        try:
            while (one := self._call(following())) is not None:
                yield one
        finally:
            self._call(stop())

    def _call(self, call: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            call.close()
            raise ClientClosed("the client is not open: use it as `with SyncClient(…) as client:`")
        future = asyncio.run_coroutine_threadsafe(call, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise


class SyncStarted:
    """A job that the scheduler has accepted."""

    def __init__(self, client: SyncClient, started: Started) -> None:
        self._client = client
        self._started = started

    @property
    def job_id(self) -> str:
        """The job's id; another one when the scheduler was restarted and the job submitted again."""
        return self._started.job_id

    @property
    def request_id(self) -> str:
        """The request id, which makes the submit repeatable."""
        return self._started.request_id

    def result(self) -> JobResult:
        """Wait for the result."""
        return self._client._call(self._started.result())

    def partials(self) -> Iterator[Partial]:
        """Yield what the worker knows so far. See `Started.partials`."""
        return self._client._each(self._started.partials())

    def cancel(self) -> None:
        """Cancel the job unless it has ended; the state of its result shows which."""
        self._client._call(self._started.cancel())
