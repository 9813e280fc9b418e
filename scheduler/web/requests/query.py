"""Parameters of a request, with their bounds. What can't be used is a BadInput named bad_<parameter>.

Each route takes the parameters that its entry in openapi.py names. Any other key is refused, since an ignored one, such
as a misspelt `request_id`, looks as if it had been taken.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from voxpool.scheduler.errors import BadInput
from voxpool.scheduler.sentences import nearest
from voxpool.scheduler.web.problems import problem, status_of

_DIGITS_MAX = 12
SECONDS_MAX = 10**9
_SECONDS = re.compile(
    r"[0-9]{1,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?"
)  # each float as Python or a browser writes it
REMEMBERED_MAX = 64
REMEMBERED_BYTES_MAX = 200
UNKNOWN, TWICE = "unknown_parameter", "given_twice"
Keys = Mapping[tuple[str, str], Collection[str]]
"""(method, path of a route) -> keys that its query may have."""
_WORDS = {"true": True, "1": True, "false": False, "0": False}


def check_queries(routes: Iterable[BaseRoute], keys: Keys) -> None:
    """Make each route refuse keys that `keys` doesn't name for it. Raises KeyError for a route without an entry."""
    for route in routes:
        if isinstance(route, Route):
            methods = route.methods or set()
        else:
            assert isinstance(route, WebSocketRoute), route
            methods = {"GET"}
        known = {method: keys[("GET" if method == "HEAD" else method, route.path)] for method in methods}
        route.app = _QueryCheck(route.app, known)


class _QueryCheck:
    """Replaces the door of a route: it calls the door unless the query has an unknown key."""

    def __init__(self, door: ASGIApp, known: Mapping[str, Collection[str]]) -> None:
        self._door = door
        self._known = known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        query: bytes = scope["query_string"]
        if query:
            try:
                _check_query(query, self._known[scope.get("method", "GET")])
            except BadInput as error:
                if scope["type"] != "websocket":
                    raise
                await receive()
                await problem(status_of(error.reason), error.reason, error.detail)(scope, receive, send)
                return
        await self._door(scope, receive, send)


def pairs_of(query: bytes) -> Sequence[tuple[str, str]]:
    """Return the parameters of a query in their order; those of short queries, which are much alike, are remembered."""
    return _remembered(query) if len(query) <= REMEMBERED_BYTES_MAX else _parsed(query)


def _parsed(query: bytes) -> Sequence[tuple[str, str]]:
    return tuple(parse_qsl(query.decode("latin-1"), keep_blank_values=True))


_remembered = lru_cache(REMEMBERED_MAX)(_parsed)


def _check_query(query: bytes, known: Collection[str]) -> None:
    """Raise BadInput for the first key that isn't known or is given twice."""
    seen = set()
    for key, _ in pairs_of(query):
        if key not in known:
            raise BadInput(UNKNOWN, f"unknown parameter {key[:80]!r}: {nearest(key, known)}")
        if key in seen:
            raise BadInput(TWICE, f"{key} is given twice in the query; give it once")
        seen.add(key)


def whole_number(request: Request, name: str, least: int, most: int) -> int | None:
    """Return the parameter as a number from `least` to `most`, or None when it isn't there."""
    text = request.query_params.get(name)
    return None if text is None else whole_number_of(text, name, least, most)


def whole_number_of(text: str, name: str, least: int, most: int) -> int:
    """Return `text` as a number from `least` to `most`."""
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX and least <= int(text) <= most):
        raise BadInput(f"bad_{name}", f"{name}={text[:80]!r}: a whole number from {least} to {most}")
    return int(text)


def seconds(request: Request, name: str, most: float) -> float:
    """Return the parameter as seconds, at most `most`; 0 when it isn't there."""
    text = request.query_params.get(name)
    return 0.0 if text is None else min(seconds_of(text, name), most)


def seconds_of(text: str, name: str) -> float:
    """Return `text` as seconds."""
    if not (_SECONDS.fullmatch(text) and float(text) <= SECONDS_MAX):
        raise BadInput(f"bad_{name}", f"{name}={text[:80]!r}: a number of seconds from 0 to {SECONDS_MAX}")
    return float(text)


def truth_of(text: str, name: str) -> bool:
    """Return `text` as yes or no."""
    if text not in _WORDS:
        raise BadInput(f"bad_{name}", f"{name}={text[:80]!r}: true or false")
    return _WORDS[text]
