"""How an operation of HTTP is written down, and the OpenAPI document that a list of them becomes.

openapi.py has the list. Every reason that an operation may refuse with is named; its status is the one that problems.py
answers with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import msgspec

from voxpool.scheduler import __version__
from voxpool.scheduler.protocol.answers import Problem
from voxpool.scheduler.security.authentication import FORBIDDEN, UNAUTHORIZED
from voxpool.scheduler.web.gates.authorization import OPEN, roles_of
from voxpool.scheduler.web.gates.request_filter import ALWAYS
from voxpool.scheduler.web.problems import MEDIA_TYPE, status_of
from voxpool.scheduler.web.requests.query import TWICE, UNKNOWN, Keys
from voxpool.scheduler.web.wire.connections import CONNECTIONS_MAX

Schema = dict[str, Any]
FORM = "multipart/form-data"
SECURITY = "token"
REF = "#/components/schemas/{name}"
ANYTIME = (
    *("internal_error", "bad_origin", "bad_host", "compressed"),
    *("bad_request", "slow_head", "slow_body", "head_too_large", "small_parts"),
    *(UNKNOWN, TWICE),
)
"""Reasons that each operation may refuse with."""


@dataclass(frozen=True)
class Parameter:
    """A parameter in the query, the path or a header."""

    name: str
    text: str
    schema: Schema
    place: str = "query"
    required: bool = False
    """Those of the path always are."""


@dataclass(frozen=True)
class Answer:
    """An answer that is no error: a record, or bytes of the `media_types`; neither when it has no body."""

    text: str
    record: type | None = None
    media_types: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Operation:
    """One method of one path. `passing` are refusals for a time: they have a Retry-After, and a 429 or 503."""

    method: str
    path: str
    text: str
    answers: Mapping[int, Answer]
    parameters: Sequence[Parameter] = ()
    bodies: Mapping[str, Schema] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """Fields of a form that are files -> their media type."""
    reasons: tuple[str, ...] = ()
    passing: tuple[str, ...] = ()
    records: tuple[type, ...] = ()
    """Records that the bodies refer to."""


def document(operations: Iterable[Operation], secured: bool) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of `operations`; `secured` when the scheduler has tokens."""
    operations = list(operations)
    answered = [answer.record for operation in operations for answer in operation.answers.values() if answer.record]
    asked = [record for operation in operations for record in operation.records]
    _, schemas = msgspec.json.schema_components([*dict.fromkeys([*answered, *asked]), Problem], ref_template=REF)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, secured)
    components: dict[str, Any] = {"schemas": _portable(schemas)}
    if secured:
        components["securitySchemes"] = {SECURITY: {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "voxpool",
            "version": __version__,
            "description": "A scheduler for speech jobs. Every error is application/problem+json (RFC 9457) with a "
            "`reason`, a stable word. The messages of the WebSockets are in docs/protocol.md.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": components,
    }


def query_keys(operations: Iterable[Operation]) -> Keys:
    """Return the keys that the query of each operation may have."""
    return {
        (operation.method, operation.path): [one.name for one in operation.parameters if one.place == "query"]
        for operation in operations
    }


def ref(record: type) -> Schema:
    """Return a reference to the schema of `record`."""
    return {"$ref": REF.format(name=record.__name__)}


def _operation(operation: Operation, secured: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "summary": operation.text.split(". ")[0].rstrip("."),
        "description": operation.text,
        "operationId": _operation_id(operation),
        "responses": {str(status): _answer(answer) for status, answer in operation.answers.items()},
    }
    if operation.parameters:
        shown["parameters"] = [_parameter(parameter) for parameter in operation.parameters]
    if operation.bodies:
        content = {media_type: {"schema": schema} for media_type, schema in operation.bodies.items()}
        if FORM in content:
            encoding = {name: {"contentType": media_type} for name, media_type in operation.files.items()}
            content[FORM]["encoding"] = encoding
        shown["requestBody"] = {"required": True, "content": content}
    reasons = [*operation.reasons, *ANYTIME]
    roles = roles_of(operation.method, operation.path)
    if secured and roles is not OPEN:
        shown["security"] = [{SECURITY: []}]
        shown["description"] += f" For tokens of the role {' or '.join(sorted(roles))}."
        reasons += [UNAUTHORIZED, FORBIDDEN]
    passing = [*operation.passing, *([] if operation.path in ALWAYS else [CONNECTIONS_MAX])]
    by_status: dict[int, list[str]] = {}
    for reason in [*reasons, *passing]:
        by_status.setdefault(int(status_of(reason, reason in passing)), []).append(reason)
    for status, words in sorted(by_status.items()):
        shown["responses"][str(status)] = _refusal(status, words, any(word in passing for word in words))
    return shown


def _operation_id(operation: Operation) -> str:
    words = [word.strip("{}").replace(".", "_") for word in operation.path.split("/") if word not in ("", "v1")]
    return "_".join([operation.method.lower(), *words])


def _parameter(parameter: Parameter) -> dict[str, Any]:
    shown = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.text,
        "schema": parameter.schema,
    }
    return {**shown, "required": True} if parameter.required or parameter.place == "path" else shown


def _answer(answer: Answer) -> dict[str, Any]:
    shown: dict[str, Any] = {"description": answer.text}
    if answer.record is not None:
        shown["content"] = {"application/json": {"schema": ref(answer.record)}}
    elif answer.media_types:
        shown["content"] = {media_type: {"schema": {}} for media_type in answer.media_types}
    if answer.headers:
        shown["headers"] = {name: _header(text, "string") for name, text in answer.headers.items()}
    return shown


def _refusal(status: int, reasons: list[str], passes: bool) -> dict[str, Any]:
    narrow = {"properties": {"reason": {"enum": reasons}}}
    shown: dict[str, Any] = {
        "description": " or ".join(reasons),
        "content": {MEDIA_TYPE: {"schema": {"allOf": [ref(Problem), narrow]}}},
    }
    if passes:
        shown["headers"] = {"Retry-After": _header("seconds until it makes sense to try again", "integer")}
    if status == HTTPStatus.UNAUTHORIZED:
        shown["headers"] = {"WWW-Authenticate": _header("that a bearer token is asked for", "string")}
    return shown


def _header(text: str, kind: str) -> dict[str, Any]:
    return {"description": text, "schema": {"type": kind}}


def _portable(schema: Any) -> Any:
    """Return `schema` with the patterns of Python in the syntax of ECMA-262, which OpenAPI wants."""
    if isinstance(schema, dict):
        return {key: _ecma(value) if key == "pattern" else _portable(value) for key, value in schema.items()}
    if isinstance(schema, list | tuple):
        return [_portable(value) for value in schema]
    return schema


def _ecma(pattern: Any) -> Any:
    return pattern.replace(r"\Z", "$") if isinstance(pattern, str) else _portable(pattern)
