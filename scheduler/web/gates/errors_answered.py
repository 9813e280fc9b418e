"""Turns errors of the doors into answers of HTTP, in one layer where Starlette has two and one more for each route."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

OnError = Callable[[Request, Exception], Awaitable[Response]]


class ErrorsAnswered:
    """Wraps the router of `app` for requests; WebSockets keep the layers of Starlette.

    `handlers` has a handler for each kind of error, and for Exception: a bug, which is raised again for the log.
    """

    def __init__(self, app: Starlette, handlers: Mapping[type[Exception], OnError]) -> None:
        self._router = app.router
        self._layers = app.build_middleware_stack()
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._layers(scope, receive, send)
            return
        has_begun = False

        async def watched(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._router(scope, receive, watched)
        except Exception as error:
            kind = next(kind for kind in type(error).__mro__ if kind in self._handlers)
            if not has_begun:
                response = await self._handlers[kind](Request(scope, receive, send), error)
                await response(scope, receive, send)
            if has_begun or kind is Exception:
                raise
            error.__traceback__ = None  # one that is raised again and again would grow


class Endpoint:
    """A function from request to response as an application; its errors are handled above."""

    def __init__(self, function: Callable[[Request], Awaitable[Response]]) -> None:
        self._function = function

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self._function(Request(scope, receive, send))
        await response(scope, receive, send)


def answer_errors(app: Starlette, handlers: Mapping[type[Exception], OnError]) -> None:
    """Make `app`, whose routes are complete, answer errors by `handlers`."""
    app.middleware_stack = ErrorsAnswered(app, handlers)
