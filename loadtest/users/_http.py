"""Jobs of one client user over HTTP: a submit, then long polls, each a separate request."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
from geventhttpclient.client import HTTPClient
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError

from voxpool.loadtest.users._workload import Stream
from voxpool.scheduler.errors import VoxpoolError
from voxpool.scheduler.protocol.answers import JobView, Problem

CONNECT_TIMEOUT_S = 10.0
ANSWER_S = 15.0
"""Timeout of an answer, in addition to the requested wait."""
POLL_S = 20.0
NO_ENTRY = (401, 403)
BROKEN = (OSError, HTTPConnectionClosed, HTTPParseError)


class Refused(VoxpoolError):
    """The scheduler's answer is not a job."""

    def __init__(self, reason: str, retry_after_ms: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_ms = retry_after_ms


class HttpJobs:
    """The connections of one client user, which are reused."""

    def __init__(self, url: str, token: str, ca_file: str, connections_max: int) -> None:
        options: dict[str, Any] = {"ssl_options": {"ca_certs": ca_file}} if ca_file else {}
        self._base = urlsplit(url).path.rstrip("/")
        self._http = HTTPClient.from_url(
            url,
            concurrency=connections_max,
            connection_timeout=CONNECT_TIMEOUT_S,
            network_timeout=POLL_S + ANSWER_S,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            **options,
        )

    def submit(self, audio: bytes, stream: Stream, request_id: str, session: str) -> JobView:
        """Submit a job. Raises Refused, or one of BROKEN: then it is unknown whether the job was accepted."""
        query = {
            "pair": stream.pair,
            "session": session,
            "timeout_ms": stream.timeout_ms,
            "priority": stream.priority,
            "key": stream.key,
        }
        path = "/v1/jobs?" + urlencode({name: value for name, value in query.items() if value})
        headers = {"Idempotency-Key": request_id, "Content-Type": "audio/wav"}
        return self._ask("POST", path, audio, headers)

    def wait(self, job_id: str, wait_s: float) -> JobView:
        """Return the job, once it has ended or after `wait_s`. Raises Refused or one of BROKEN."""
        return self._ask("GET", f"/v1/jobs/{job_id}?wait_s={min(wait_s, POLL_S):.3f}", b"", {})

    def cancel(self, job_id: str) -> JobView:
        """Cancel the job, unless it has ended. Raises Refused or one of BROKEN."""
        return self._ask("DELETE", f"/v1/jobs/{job_id}", b"", {})

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> JobView:
        response = self._http.request(method, self._base + path, body=body, headers=headers)
        try:
            status, content = int(response.status_code), bytes(response.read())
        finally:
            response.release()
        try:
            if status < 300:
                return msgspec.json.decode(content, type=JobView)
            problem = msgspec.json.decode(content, type=Problem)
        except msgspec.MsgspecError:
            raise Refused(f"answer_{status}") from None
        raise Refused("token_refused" if status in NO_ENTRY else problem.reason, problem.retry_after_ms)
