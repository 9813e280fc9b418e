"""A client over plain HTTP: for scripts, and wherever a WebSocket is too much."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec

from scheduler.chance import fresh_random
from scheduler.errors import ConfigError
from scheduler.sdk.errors import SchedulerUnreachable, SubmitRejected, UnknownJob, refusal_of_status
from scheduler.sdk.given import given_token, given_url
from scheduler.sdk.tls import tls_context
from scheduler.sdk.tracing import current_trace
from scheduler.web.views import JobPage, JobView, Problem

TRIES = 3
WAIT_SLACK_S = 10.0
PAGE = 100


class HttpClient:
    """Use it as `with HttpClient("http://127.0.0.1:5010") as client: job = client.submit(audio, "en:en", wait_s=30)`.

    A submit whose answer got lost is sent again under the same request id, which makes no second job. `ca_file` is a
    PEM file with the certificates to trust for https, instead of those that the machine trusts.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        ca_file: str | Path | None = None,
        random: random.Random | None = None,
    ) -> None:
        url, token = given_url(url), given_token(token)
        base = httpx.URL(url.replace("ws", "http", 1) if url.startswith("ws") else url)
        if base.scheme not in ("http", "https") or not base.host:
            raise ConfigError(f"{url!r} is not the URL of a scheduler; write http://HOST:PORT")
        self._random = random or fresh_random()
        headers = {"authorization": f"Bearer {token}"} if token else {}
        verify = tls_context(ca_file) if base.scheme == "https" else True
        self._http = httpx.Client(base_url=base, headers=headers, verify=verify, trust_env=False)

    def __enter__(self) -> HttpClient:
        """Nothing is connected yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self._http.close()

    def submit(
        self, audio: bytes, pair: str, *, wait_s: float = 0.0, request_id: str | None = None, why: bool = False
    ) -> JobView:
        """Submit a job and wait up to `wait_s` for its end; with `why` the scheduler keeps why it goes where it goes.

        Raises SubmitRejected or SchedulerUnreachable.
        """
        key = request_id or f"r-{self._random.getrandbits(96):024x}"
        params = {"pair": pair, "wait_s": f"{wait_s:g}", "why": str(int(why))}
        trace = current_trace()
        headers = {"idempotency-key": key, **({"traceparent": trace} if trace else {})}
        body = self._ask("POST", "/v1/jobs", wait_s, params=params, content=audio, headers=headers)
        return msgspec.json.decode(body, type=JobView)

    def job(self, job_id: str, *, wait_s: float = 0.0) -> JobView:
        """Return a job; with `wait_s` once it has ended or that time is over. Raises UnknownJob."""
        body = self._ask("GET", f"/v1/jobs/{job_id}", wait_s, params={"wait_s": f"{wait_s:g}"})
        return msgspec.json.decode(body, type=JobView)

    def cancel(self, job_id: str) -> JobView:
        """Cancel a job unless it has ended, and return it."""
        return msgspec.json.decode(self._ask("DELETE", f"/v1/jobs/{job_id}"), type=JobView)

    def jobs(self, limit: int, state: str = "") -> Iterator[JobView]:
        """Yield at most `limit` jobs, the newest first, without outputs; of one `state` if that is given."""
        cursor: str | None = None
        while limit > 0:
            query = {"limit": min(limit, PAGE), "state": state, "cursor": cursor}
            path = "/v1/jobs?" + urlencode({name: value for name, value in query.items() if value})
            page = msgspec.json.decode(self._ask("GET", path), type=JobPage)
            yield from page.jobs
            limit -= len(page.jobs)
            cursor = page.next_cursor
            if cursor is None:
                return

    def show(self, path: str) -> Any:
        """Return what GET answers there, such as /v1/nodes or /v1/pools."""
        return msgspec.json.decode(self._ask("GET", path))

    def _ask(self, method: str, path: str, wait_s: float = 0.0, **options: Any) -> bytes:
        timeout = httpx.Timeout(WAIT_SLACK_S, read=wait_s + WAIT_SLACK_S)
        for tries_left in reversed(range(TRIES)):
            try:
                response = self._http.request(method, path, timeout=timeout, **options)
            except httpx.TransportError as error:
                if not tries_left or isinstance(error, httpx.ConnectError):
                    raise SchedulerUnreachable(f"{self._http.base_url}: {error or type(error).__name__}") from None
                continue
            if response.is_success:
                return response.content
            try:
                problem = msgspec.json.decode(response.content, type=Problem)
            except msgspec.MsgspecError:
                raise SchedulerUnreachable(
                    f"{self._http.base_url} answers {response.status_code}, no scheduler"
                ) from None
            if problem.reason == "unknown_job":
                raise UnknownJob(problem.detail)
            refused = refusal_of_status(response.status_code, problem.detail)
            if refused is not None:
                raise refused
            raise SubmitRejected(problem.reason, problem.detail, problem.retry_after_ms)
        raise AssertionError("unreachable")
