"""Errors of HTTP as application/problem+json (RFC 9457), with the status that fits the reason."""

from __future__ import annotations

import math
from http import HTTPStatus

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from scheduler.errors import BadInput, Rejected
from scheduler.security.access import UNAUTHORIZED, AccessRefused
from scheduler.web.views import Problem

MEDIA_TYPE = "application/problem+json"
CHALLENGE = 'Bearer realm="voxpool"'

_STATUS = {
    "audio_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "not_audio": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "request_id_conflict": HTTPStatus.CONFLICT,
    "unknown_job": HTTPStatus.NOT_FOUND,
}


def problem(status: int, reason: str, detail: str, retry_after_ms: int | None = None) -> Response:
    """Return a problem as a response; with `retry_after_ms` also as Retry-After, in whole seconds."""
    body = Problem(
        type=f"urn:voxpool:problem:{reason}",
        title=reason.replace("_", " "),
        status=int(status),
        detail=detail,
        reason=reason,
        retry_after_ms=retry_after_ms,
    )
    headers = {} if retry_after_ms is None else {"retry-after": str(max(1, math.ceil(retry_after_ms / 1000)))}
    return Response(msgspec.json.encode(body), int(status), headers, MEDIA_TYPE)


def refusal(refused: AccessRefused) -> Response:
    """Return the answer to somebody who may not: 401 with a challenge (RFC 6750), or 403."""
    if refused.reason != UNAUTHORIZED:
        return problem(403, refused.reason, refused.detail)
    response = problem(401, refused.reason, refused.detail)
    response.headers["www-authenticate"] = CHALLENGE
    return response


async def on_access_refused(request: Request, error: Exception) -> Response:
    """Answer somebody who may not do this."""
    assert isinstance(error, AccessRefused)
    return refusal(error)


async def on_bad_input(request: Request, error: Exception) -> Response:
    """Answer a request that isn't well-formed."""
    assert isinstance(error, BadInput)
    return problem(_STATUS.get(error.reason, 422), error.reason, error.detail)


async def on_rejected(request: Request, error: Exception) -> Response:
    """Answer a submit that was refused: 503 when a bound is reached, which passes."""
    assert isinstance(error, Rejected)
    status = 503 if error.retry_after_ms is not None else _STATUS.get(error.reason, 422)
    return problem(status, error.reason, error.detail, error.retry_after_ms)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the router refuses: no such path, no such method."""
    assert isinstance(error, HTTPException)
    reason = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    response = problem(error.status_code, reason, f"{request.method} {request.url.path}: {error.detail}")
    response.headers.update(error.headers or {})
    return response


async def on_crash(request: Request, error: Exception) -> Response:
    """Answer when we have a bug; the log has the details, the client needn't see them."""
    return problem(500, "internal_error", "this is a bug of voxpool; its log says more")
