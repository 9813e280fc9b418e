"""Hooks of schemathesis for rules that the document can't express: the format of a WAV file, exclusive parameters."""

from __future__ import annotations

import itertools
import struct
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, HookContext, Response
from schemathesis.core.failures import AcceptedNegativeData, Failure

SUBMIT = "POST /v1/jobs"
SLOW = {"GET /v1/debug/memory": ("sizes", "1"), "POST /v1/debug/memory": ("trace", "start")}
"""Operation -> parameter and value that take the scheduler seconds, or slow it down; tests/e2e covers them."""
_numbers = itertools.count(1)


def wav(samples: bytes) -> bytes:
    """Return a WAV file of one channel, 8 bits, 8 kHz."""
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(samples), b"WAVE", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8)
    return head + struct.pack("<4sI", b"data", len(samples)) + samples


schemathesis.openapi.media_type("audio/wav", st.binary(max_size=2000).map(wav), aliases=["application/octet-stream"])


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Make requests that are valid by the schemas valid by their descriptions, too: a pair, a WAV file, no duplicates.

    Requests that are meant to be rejected are not changed.
    """
    name, slow = SLOW.get(case.operation.label, ("", ""))
    if name and str(case.query.get(name)) == slow:
        case.query[name] = {"sizes": "0", "trace": "mark"}[name]
    if case.operation.label != SUBMIT or case.meta is None or not case.meta.generation.mode.is_positive:
        return
    body: dict[str, Any] = case.body if isinstance(case.body, dict) else {}
    if case.media_type == "multipart/form-data" and body.get("audio") in ("", b""):
        body["audio"] = wav(b"")
    for name in [name for name in case.query if body.get(name) is not None]:
        del case.query[name]
    if body.get("pair") is None:
        case.query.setdefault("pair", "zh:en")
    if body.get("request_id") is not None:
        case.headers.pop("Idempotency-Key", None)
        body["request_id"] = _another(body["request_id"])
    elif case.query.get("request_id") is not None:
        case.headers.pop("Idempotency-Key", None)
        case.query["request_id"] = _another(case.query["request_id"])
    elif "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = _another(case.headers["Idempotency-Key"])


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case[Any], response: Response) -> bool:
    """Drop a failure whose case was accepted but no longer matches the schemas, because `before_call` changed it."""
    message = case.meta.phase.data.description if case.meta is not None else ""
    valid = (message or "").lower() == "positive test case"
    return not (isinstance(failure, AcceptedNegativeData) and valid)


def _another(request_id: str) -> str:
    """Return an unused request id: the same id with other audio is a conflict."""
    return f"{request_id[:50]}-{next(_numbers)}"
