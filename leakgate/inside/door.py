"""Parameters and authorization of requests for the report, shared by the ASGI and the WSGI application.

GET answers with the report. `gc=1` collects garbage first, `types=N` names N types, `sizes=1` adds the bytes of all
objects by type, `trace=top` the source lines that grew. POST switches the tracing of allocations: `trace=start` (with
`frames=1` to 10, and `seconds=1` to 900 after which it stops automatically), `trace=mark`, `trace=stop`.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from voxpool.leakgate.errors import BadRequest, LeakgateError
from voxpool.leakgate.inside.report import MemoryReporter
from voxpool.leakgate.inside.tracing import FRAMES_MAX, TRACE_SECONDS_MAX, Trace, Tracer
from voxpool.leakgate.inside.work import Unit, Work
from voxpool.leakgate.readings.series import Bound

TYPES_MAX = 1000
TYPES_DEFAULT = 30
QUERY_CHARACTERS_MAX = 1000
SWITCHES = ("start", "mark", "stop")
UNIT = "leakgate.unit"
"""Key of the scope or the environ under which CountRequests stores the unit of a request."""
Bounds = Mapping[str, Bound] | Callable[[], Mapping[str, Bound]]


class Answer(NamedTuple):
    """An answer over HTTP. Names of headers are in lower case."""

    status: int
    body: bytes
    headers: Sequence[tuple[str, str]] = ()


class Door:
    """The common part of both applications.

    Tables are searched in `roots` (name -> object or module), through objects whose classes are in `packages` (none =
    all but the standard library). `token` is required as `Authorization: Bearer …`; None = no token is required.
    `bounds` (name of a count -> Bound), or a function that returns them, declare the maxima of counts by design.
    `work` is the counter of work; by default that of a CountRequests around the application. `seconds` is a
    high-resolution clock.
    """

    def __init__(
        self,
        roots: Mapping[str, Any],
        token: str | None = None,
        packages: Sequence[str] = (),
        bounds: Bounds | None = None,
        work: Work | None = None,
        seconds: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._token = token
        self._work = work
        declared = bounds if callable(bounds) else lambda: bounds or {}
        self.reporter = MemoryReporter(roots, seconds, packages, declared, lambda: self._work)
        self.tracer = Tracer()

    def discount(self, unit: Unit | None) -> None:
        """Remove this request, which CountRequests counted as `unit`, from the work."""
        if unit is not None:
            unit.discount()
            self._work = self._work or unit.work

    def refused(self, method: str, authorization: str, fetch_site: str) -> Answer | None:
        """Return the refusal of such a request; None when it is accepted."""
        if not self._is_allowed(authorization):
            text = "this needs the token: Authorization: Bearer …"
            return Answer(401, _refusal(text), [("www-authenticate", "Bearer")])
        if method not in ("GET", "HEAD", "POST"):
            return Answer(405, _refusal("only GET and POST are supported"), [("allow", "GET, HEAD, POST")])
        if method == "POST" and fetch_site in ("cross-site", "same-site"):  # browsers say so by Sec-Fetch-Site
            return Answer(403, _refusal("a page of another site must not switch the tracing"))
        return None

    def _is_allowed(self, authorization: str) -> bool:
        if self._token is None:
            return True
        scheme, _, shown = authorization.partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), self._token.encode())


def done(record: msgspec.Struct) -> Answer:
    """Return the answer with `record`."""
    return Answer(200, msgspec.json.encode(record))


def failed(error: LeakgateError) -> Answer:
    """Return the answer to an invalid request (422), or to one that does not fit the state (409)."""
    return Answer(422 if isinstance(error, BadRequest) else 409, _refusal(str(error)))


class Asked(NamedTuple):
    """The parameters of a GET."""

    collect: bool
    types: int
    sizes: bool
    trace: bool


def read_query(query: str) -> Asked:
    """Parse the query of a GET. Raises BadRequest."""
    given = _parameters(query, ("gc", "types", "sizes", "trace"))
    trace = given.get("trace", "")
    if trace not in ("", "top"):
        raise BadRequest(f"trace={trace[:40]!r}: a GET has trace=top; POST has {', '.join(SWITCHES)}")
    return Asked(
        collect=_number(given, "gc", 0, 0, 1) == 1,
        types=_number(given, "types", TYPES_DEFAULT, 0, TYPES_MAX),
        sizes=_number(given, "sizes", 0, 0, 1) == 1,
        trace=bool(trace),
    )


def switch_trace(tracer: Tracer, query: str) -> Trace:
    """Switch the tracing by the query of a POST. Raises BadRequest and TraceError."""
    given = _parameters(query, ("trace", "frames", "seconds"))
    frames = _number(given, "frames", 1, 1, FRAMES_MAX)
    return switch(
        tracer, given.get("trace", ""), frames, _number(given, "seconds", TRACE_SECONDS_MAX, 1, TRACE_SECONDS_MAX)
    )


def switch(tracer: Tracer, word: str, frames: int, seconds: float) -> Trace:
    """Start, mark or stop the tracing; the start uses `frames` and `seconds`. Raises BadRequest and TraceError."""
    if word == "start":
        return tracer.start(frames, seconds)
    if word == "mark":
        return tracer.mark()
    if word == "stop":
        return tracer.stop()
    raise BadRequest(f"trace={word[:40]!r}: {', '.join(SWITCHES)} are possible")


def _refusal(text: str) -> bytes:
    return msgspec.json.encode({"error": text})


def _parameters(query: str, names: tuple[str, ...]) -> dict[str, str]:
    if len(query) > QUERY_CHARACTERS_MAX:
        raise BadRequest(f"a query has at most {QUERY_CHARACTERS_MAX} characters")
    given = dict(parse_qsl(query, keep_blank_values=True))
    for name in given:
        if name not in names:
            raise BadRequest(f"there is no parameter {name[:40]!r}; there are {', '.join(names)}")
    return given


def _number(given: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    text = given.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and least <= int(text) <= most):
        raise BadRequest(f"{name}={text[:40]!r}: a whole number from {least} to {most}")
    return int(text)
