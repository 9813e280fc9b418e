"""The client for plain scripts: the asynchronous one on a loop in a thread of its own, behind calls that wait.

Not a second implementation over HTTP: so reconnects, resubmits, rejections and results are the same to the letter, and
the connection lives on while the script does something else.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from voxpool.scheduler.protocol.messages import JobResult
from voxpool.scheduler.sdk.client import Client, Started, _ignore
from voxpool.scheduler.sdk.errors import ClientClosed
from voxpool.scheduler.sdk.many import Done
from voxpool.scheduler.sdk.wire.connection import PING_S

T = TypeVar("T")


class SyncClient:
    """Use it as `with SyncClient("ws://127.0.0.1:5010") as client: result = client.submit(audio, "en:en")`.

    Options and calls are those of `Client`; several threads may use one. Ctrl-C in a call cancels its job.
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
    ) -> None:
        self._client = Client(
            url,
            token=token,
            ca_file=ca_file,
            session_id=session_id,
            resume=resume,
            on_result=on_result,
            in_flight_max=in_flight_max,
            give_up_s=give_up_s,
            retry_s=retry_s,
            ping_s=ping_s,
            in_order=in_order,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def session_id(self) -> str:
        """The name of this client's session."""
        return self._client.session_id

    def __enter__(self) -> SyncClient:
        """Begin to connect."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="voxpool-client", daemon=True)
        self._thread.start()
        self._call(self._client.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; what has not been answered is given up."""
        self.close()

    def submit(
        self,
        audio: bytes,
        pair: str,
        *,
        request_id: str | None = None,
        timeout_ms: int | None = None,
        session_affinity: bool = False,
        why: bool = False,
        attempts_max: int | None = None,
        backoff_ms: int | None = None,
    ) -> JobResult:
        """Submit a job and wait for its result. See `Client.submit`."""
        return self._call(
            self._client.submit(
                audio,
                pair,
                request_id=request_id,
                timeout_ms=timeout_ms,
                session_affinity=session_affinity,
                why=why,
                attempts_max=attempts_max,
                backoff_ms=backoff_ms,
            )
        )

    def start(
        self,
        audio: bytes,
        pair: str,
        *,
        request_id: str | None = None,
        timeout_ms: int | None = None,
        session_affinity: bool = False,
        why: bool = False,
        attempts_max: int | None = None,
        backoff_ms: int | None = None,
    ) -> SyncStarted:
        """Submit a job and return as soon as the scheduler has taken it. See `Client.start`."""
        started = self._call(
            self._client.start(
                audio,
                pair,
                request_id=request_id,
                timeout_ms=timeout_ms,
                session_affinity=session_affinity,
                why=why,
                attempts_max=attempts_max,
                backoff_ms=backoff_ms,
            )
        )
        return SyncStarted(self, started)

    def map(
        self,
        audios: Iterable[bytes],
        pair: str,
        *,
        at_most: int = 32,
        timeout_ms: int | None = None,
        why: bool = False,
        attempts_max: int | None = None,
        backoff_ms: int | None = None,
    ) -> Iterator[Done]:
        """Submit many, `at_most` at a time, and yield what came of each as it comes. See `Client.map`.

        `audios` is read in the client's thread: reading a file there is fine, working for seconds is not.
        """
        results = self._client.map(
            audios,
            pair,
            at_most=at_most,
            timeout_ms=timeout_ms,
            why=why,
            attempts_max=attempts_max,
            backoff_ms=backoff_ms,
        )

        async def following() -> Done | None:
            return await anext(results, None)

        async def stop() -> None:
            await results.aclose()

        try:
            while (done := self._call(following())) is not None:
                yield done
        finally:
            self._call(stop())

    def why(self, job_id: str) -> Any:
        """Return why a job went where it went, or waits. See `Client.why`."""
        return self._call(self._client.why(job_id))

    def close(self) -> None:
        """Say goodbye; the scheduler cancels what this client still waits for."""
        if self._loop is None or self._thread is None:
            return
        loop, thread = self._loop, self._thread
        self._call(self._client.close())
        self._loop = self._thread = None
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

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
    """A job that the scheduler has taken."""

    def __init__(self, client: SyncClient, started: Started) -> None:
        self._client = client
        self._started = started

    @property
    def job_id(self) -> str:
        """The job's id; another one when the scheduler was restarted and the job submitted again."""
        return self._started.job_id

    @property
    def request_id(self) -> str:
        """What makes the submit repeatable."""
        return self._started.request_id

    def result(self) -> JobResult:
        """Wait for the result."""
        return self._client._call(self._started.result())

    def cancel(self) -> None:
        """Ask the scheduler to cancel the job. A job that has ended stays as it is; the result says which was first."""
        self._client._call(self._started.cancel())
