"""A client over plain HTTP: for scripts, and where a WebSocket is not needed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import SplitResult, quote, urlencode, urlsplit, urlunsplit

import msgspec

from voxpool.scheduler import __version__
from voxpool.scheduler.chance import fresh_random
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.protocol.answers import JobPage, JobView, NodeView, PoolView, Problem, WaitingView
from voxpool.scheduler.sdk.errors import (
    RequestRefused,
    SchedulerUnreachable,
    SubmitRejected,
    UnknownJob,
    refusal_of_status,
)
from voxpool.scheduler.sdk.given import given_request_id, given_token, given_url
from voxpool.scheduler.sdk.tracing import current_trace
from voxpool.scheduler.sdk.wire.http_connections import HttpConnections, NotConnected
from voxpool.scheduler.sdk.wire.tls import tls_context
from voxpool.scheduler.sdk.wire.trouble import trouble
from voxpool.scheduler.sentences import wrong

T = TypeVar("T")
P = TypeVar("P", "_NodePage", "_PoolPage")

TRIES = 3
PATIENCE_S = 10.0
PAGE = 100


class _NodePage(msgspec.Struct):
    nodes: list[NodeView]
    next_cursor: str | None


class _PoolPage(msgspec.Struct):
    pools: list[PoolView]
    next_cursor: str | None


class HttpClient:
    """Use it as `with HttpClient("http://127.0.0.1:5010") as client: job = client.submit(audio, "en:en", wait_s=30)`.

    A call raises SchedulerUnreachable, Refused for a wrong token, and RequestRefused when the scheduler refuses
    it: SubmitRejected for a submit. A submit whose answer was lost is sent again under the same request id,
    which makes no second job. `ca_file` is a PEM file with the certificates to trust for https, instead of those that
    the machine trusts. `patience_s` is how long an answer may take, beyond the time that was asked for.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        ca_file: str | Path | None = None,
        patience_s: float = PATIENCE_S,
        random: random.Random | None = None,
    ) -> None:
        base, token = _base(given_url(url)), given_token(token)
        self.url = urlunsplit(base)
        self._patience_s = patience_s
        self._random = random or fresh_random()
        headers = {"user-agent": f"voxpool/{__version__}"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        tls = tls_context(ca_file) if base.scheme == "https" else None
        self.has_token = bool(token)
        self._http = HttpConnections(base, headers, tls, connect_s=patience_s)

    def __enter__(self) -> HttpClient:
        """Nothing is connected yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self._http.close()

    def submit(
        self,
        audio: bytes,
        pair: str,
        *,
        wait_s: float = 0.0,
        request_id: str | None = None,
        why: bool = False,
        attempts_max: int | None = None,
        backoff_ms: int | None = None,
        priority: int | None = None,
        key: str | None = None,
    ) -> JobView:
        """Submit a job and wait up to `wait_s` for its end; with `why` it keeps the decisions that `why` returns.

        The other options are those of JobOptions.
        """
        name = given_request_id(request_id, self._random)
        params = {"pair": pair, "wait_s": f"{wait_s:g}", "why": str(int(why))}
        asked = {"attempts_max": attempts_max, "backoff_ms": backoff_ms, "priority": priority, "key": key}
        params |= {option: str(value) for option, value in asked.items() if value is not None}
        trace = current_trace()
        headers = {"idempotency-key": name, **({"traceparent": trace} if trace else {})}
        try:
            body = self._ask("POST", f"/v1/jobs?{urlencode(params)}", wait_s, audio, headers)
        except RequestRefused as refused:
            raise SubmitRejected(refused.reason, refused.detail, refused.retry_after_ms) from None
        return self._read(body, JobView)

    def job(self, job_id: str, *, wait_s: float = 0.0) -> JobView:
        """Return a job; with `wait_s` once it has ended or that time is over. Raises UnknownJob."""
        body = self._ask("GET", f"/v1/jobs/{quote(job_id, safe='')}?wait_s={wait_s:g}", wait_s)
        return self._read(body, JobView)

    def cancel(self, job_id: str) -> JobView:
        """Cancel a job unless it has ended, and return it. Raises UnknownJob."""
        return self._read(self._ask("DELETE", f"/v1/jobs/{quote(job_id, safe='')}"), JobView)

    def jobs(self, limit: int, state: str = "") -> Iterator[JobView]:
        """Yield at most `limit` jobs, the newest first, without outputs; of one `state` if that is given."""
        cursor: str | None = None
        while limit > 0:
            query = {"limit": min(limit, PAGE), "state": state, "cursor": cursor}
            path = "/v1/jobs?" + urlencode({name: value for name, value in query.items() if value})
            page = self._read(self._ask("GET", path), JobPage)
            yield from page.jobs
            limit -= len(page.jobs)
            cursor = page.next_cursor
            if cursor is None:
                return

    def nodes(self) -> Iterator[NodeView]:
        """Yield the connected nodes."""
        for page in self._pages("/v1/nodes", _NodePage):
            yield from page.nodes

    def pools(self) -> Iterator[PoolView]:
        """Yield the state of the nodes of each pair, by pair."""
        for page in self._pages("/v1/pools", _PoolPage):
            yield from page.pools

    def waiting(self, top: int = 10) -> WaitingView:
        """Return whose jobs wait: by priority, and the `top` keys (100 at most) with most of them."""
        return self._read(self._ask("GET", f"/v1/waiting?top={top}"), WaitingView)

    def drain(self, node_id: str, on: bool = True) -> NodeView:
        """Give a node no new jobs, or, with `on` False, jobs again; it keeps those that it has."""
        path = f"/v1/nodes/{quote(node_id, safe='')}/drain?on={str(on).lower()}"
        return self._read(self._ask("POST", path), NodeView)

    def why(self, job_id: str) -> dict[str, Any]:
        """Return why a job went to its node, or waits: a WhyView. Raises UnknownJob."""
        return self.show(f"/v1/jobs/{quote(job_id, safe='')}/why")

    def show(self, path: str) -> dict[str, Any]:
        """Return the answer to GET on a path such as /readyz."""
        return self._read(self._ask("GET", path), dict)

    def _pages(self, path: str, kind: type[P]) -> Iterator[P]:
        cursor: str | None = ""
        while cursor is not None:
            page = self._read(self._ask("GET", f"{path}?{urlencode({'cursor': cursor})}" if cursor else path), kind)
            yield page
            cursor = page.next_cursor

    def _read(self, body: bytes, kind: type[T]) -> T:
        """Return `body` as a `kind`. Raises SchedulerUnreachable when it is something else."""
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.MsgspecError as error:
            why = wrong(error).sentence if isinstance(error, msgspec.ValidationError) else str(error)
            raise SchedulerUnreachable(
                f"{self.url} answers what no scheduler of version {__version__} does ({why}): check URL and versions"
            ) from None

    def _ask(
        self, method: str, path: str, wait_s: float = 0.0, body: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> bytes:
        for tries_left in reversed(range(TRIES)):
            try:
                answer = self._http.request(method, path, wait_s + self._patience_s, body, headers)
            except NotConnected as error:
                raise SchedulerUnreachable(trouble(self.url, error)) from None
            except (OSError, HTTPException) as error:
                if not tries_left:
                    raise SchedulerUnreachable(trouble(self.url, error)) from None
                continue
            if answer.is_success:
                return answer.body
            try:
                problem = msgspec.json.decode(answer.body, type=Problem)
            except msgspec.MsgspecError:
                raise SchedulerUnreachable(
                    f"{self.url} answers {answer.status} as no scheduler does: check host and port"
                ) from None
            if problem.reason == "unknown_job":
                raise UnknownJob(problem.detail)
            refused = refusal_of_status(answer.status, problem.detail)
            if refused is not None:
                raise refused
            raise RequestRefused(problem.reason, problem.detail, problem.retry_after_ms)
        raise AssertionError("unreachable")


def _base(url: str) -> SplitResult:
    """Return where the scheduler's HTTP is; `url` may be that of its WebSockets. Raises ConfigError."""
    try:
        base = urlsplit(url.replace("ws", "http", 1) if url.startswith("ws") else url)
        _ = base.port, (base.hostname or "").encode("idna")  # both are checked where they are read
        usable = base.scheme in ("http", "https") and bool(base.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(f"{url!r} is not the URL of a scheduler; write http://HOST:PORT")
    if base.username is not None:
        raise ConfigError("the URL of a scheduler has no user and password: give a token")
    return base._replace(path=base.path.rstrip("/"), query="", fragment="")
