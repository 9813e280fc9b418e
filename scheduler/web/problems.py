"""Errors of HTTP as application/problem+json (RFC 9457), with the status that fits the reason."""

from __future__ import annotations

import math
from http import HTTPStatus

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from voxpool.scheduler.core.jobs.reasons import OUT_OF_MEMORY
from voxpool.scheduler.errors import BadInput, Rejected
from voxpool.scheduler.protocol.answers import Problem
from voxpool.scheduler.security.authentication import UNAUTHORIZED, AccessRefused

MEDIA_TYPE = "application/problem+json"
CHALLENGE = 'Bearer realm="voxpool"'
INSTANCE_CHARACTERS_MAX = 200
OUT_OF_MEMORY_RETRY_MS = 1000
"""Time to retry after a request for which there was no memory: other unfinished ones need about as long."""

STATUS = {
    "not_found": HTTPStatus.NOT_FOUND,
    "unknown_job": HTTPStatus.NOT_FOUND,
    "unknown_node": HTTPStatus.NOT_FOUND,
    "method_not_allowed": HTTPStatus.METHOD_NOT_ALLOWED,
    "request_id_conflict": HTTPStatus.CONFLICT,
    "trace_state": HTTPStatus.CONFLICT,
    "audio_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "not_audio": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "bad_content_type": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "compressed": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "upgrade_required": HTTPStatus.UPGRADE_REQUIRED,
    "internal_error": HTTPStatus.INTERNAL_SERVER_ERROR,
    "unauthorized": HTTPStatus.UNAUTHORIZED,
    "forbidden": HTTPStatus.FORBIDDEN,
    "bad_origin": HTTPStatus.FORBIDDEN,
    "bad_host": HTTPStatus.MISDIRECTED_REQUEST,
    "bad_request": HTTPStatus.BAD_REQUEST,
    "small_parts": HTTPStatus.BAD_REQUEST,
    "slow_head": HTTPStatus.REQUEST_TIMEOUT,
    "slow_body": HTTPStatus.REQUEST_TIMEOUT,
    "head_too_large": HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "rate": HTTPStatus.TOO_MANY_REQUESTS,  # the caller's own bound; what the scheduler lacks is 503
}
"""The status of each reason; what isn't here is input of the wrong form, 422, or with a time to retry 503."""


def status_of(reason: str, passes: bool = False) -> HTTPStatus:
    """Return the status of a refusal; `passes` when trying the same again later may help."""
    return STATUS.get(reason, HTTPStatus.SERVICE_UNAVAILABLE if passes else HTTPStatus.UNPROCESSABLE_ENTITY)


def problem(
    status: int, reason: str, detail: str, retry_after_ms: int | None = None, instance: str | None = None
) -> Response:
    """Return a problem as a response; with `retry_after_ms` also as Retry-After, in whole seconds."""
    body = Problem(
        type=f"urn:voxpool:problem:{reason}",
        title=reason.replace("_", " "),
        status=int(status),
        detail=detail,
        reason=reason,
        retryable=retry_after_ms is not None,
        instance=instance,
        retry_after_ms=retry_after_ms,
    )
    headers = {} if retry_after_ms is None else {"retry-after": str(max(1, math.ceil(retry_after_ms / 1000)))}
    return Response(msgspec.json.encode(body), int(status), headers, MEDIA_TYPE)


def refusal(refused: AccessRefused) -> Response:
    """Return the answer to a caller without the right: 401 with a challenge (RFC 6750), or 403."""
    if refused.reason != UNAUTHORIZED:
        return problem(403, refused.reason, refused.detail)
    response = problem(401, refused.reason, refused.detail)
    response.headers["www-authenticate"] = CHALLENGE
    return response


async def on_access_refused(request: Request, error: Exception) -> Response:
    """Answer a caller without the right."""
    assert isinstance(error, AccessRefused)
    return refusal(error)


async def on_bad_input(request: Request, error: Exception) -> Response:
    """Answer a request that isn't well-formed."""
    assert isinstance(error, BadInput)
    return problem(status_of(error.reason), error.reason, error.detail, instance=_instance(request))


async def on_rejected(request: Request, error: Exception) -> Response:
    """Answer a submit that was refused: 503 or 429 when a bound is reached, which passes."""
    assert isinstance(error, Rejected)
    status = status_of(error.reason, error.retry_after_ms is not None)
    return problem(status, error.reason, error.detail, error.retry_after_ms, _instance(request))


async def on_out_of_memory(request: Request, error: Exception) -> Response:
    """Answer a request for which the machine has no memory now: other requests will release theirs."""
    return out_of_memory(_instance(request))


def out_of_memory(instance: str | None = None) -> Response:
    """Return the refusal of a request for which there is no memory."""
    detail = "the scheduler has no memory for this request now"
    return problem(status_of(OUT_OF_MEMORY, True), OUT_OF_MEMORY, detail, OUT_OF_MEMORY_RETRY_MS, instance)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the router refuses: no such path, no such method. OPTIONS is answered with what there is."""
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allow = {"allow": ", ".join(allowed_methods(request))}
        if request.method == "OPTIONS":
            return Response(status_code=HTTPStatus.NO_CONTENT, headers=allow)
        detail = f"{request.method[:20]} has no meaning here; there is {allow['allow']}"
        refused = problem(error.status_code, "method_not_allowed", detail, instance=_instance(request))
        refused.headers.update(allow)
        return refused
    reason = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    detail = f"{error.detail}: the paths are listed at /docs" if error.status_code == 404 else error.detail
    response = problem(error.status_code, reason, detail, instance=_instance(request))
    response.headers.update(error.headers or {})
    return response


async def on_crash(request: Request, error: Exception) -> Response:
    """Answer after a bug of ours; the log has the details, which the client needn't see."""
    return problem(500, "internal_error", "this is a bug of voxpool; its log says more", instance=_instance(request))


async def upgrade_required(request: Request) -> Response:
    """Answer a plain request for the path of a WebSocket."""
    answer = problem(426, "upgrade_required", f"{request.url.path} is a WebSocket", instance=_instance(request))
    answer.headers.update({"upgrade": "websocket", "connection": "upgrade"})
    return answer


def allowed_methods(request: Request) -> list[str]:
    """Return the methods of the request's path: a path may have several routes, and the router names one of them."""
    methods = {"OPTIONS"}
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return sorted(methods)


def _instance(request: Request) -> str:
    """Return the path of the request as it came, so that it stays a URI reference."""
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode("ascii", "replace")
    return raw.decode("latin-1").split("?")[0][:INSTANCE_CHARACTERS_MAX]
