"""The WSGI version of asgi.py: an application for the memory report, and a middleware that counts requests.

    application = CountRequests(DispatcherMiddleware(shop, {"/debug/leakgate": MemoryApp(roots={"shop": shop})}))

Each worker process of a forking server has a separate report and counts: read one worker, or use one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any

from voxpool.leakgate.errors import BadRequest, TraceError
from voxpool.leakgate.inside.door import UNIT, Answer, Door, done, failed, read_query, switch_trace
from voxpool.leakgate.inside.work import Unit, Work

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]


class MemoryApp(Door):
    """Answers GET with a MemoryReport, POST with the state of the tracing; door.py has the parameters of both."""

    def __call__(self, environ: Environ, start_response: StartResponse) -> list[bytes]:
        """Answer one request."""
        self.discount(environ.get(UNIT))
        answer = self._answer(environ)
        headers = [("content-type", "application/json"), ("cache-control", "no-store"), *answer.headers]
        headers.append(("content-length", str(len(answer.body))))
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.body]

    def _answer(self, environ: Environ) -> Answer:
        method, query = environ["REQUEST_METHOD"], environ.get("QUERY_STRING", "")
        site = environ.get("HTTP_SEC_FETCH_SITE", "")
        refused = self.refused(method, environ.get("HTTP_AUTHORIZATION", ""), site)
        if refused is not None:
            return refused
        try:
            if method == "POST":
                return done(switch_trace(self.tracer, query))
            asked = read_query(query)
            trace = self.tracer.top() if asked.trace else None
            report = self.reporter.report_now(asked.collect, asked.types, asked.sizes)
        except (BadRequest, TraceError) as error:
            return failed(error)
        report.trace = trace
        return done(report)


class CountRequests:
    """Middleware: counts requests that ended (when their body was sent), those in flight, and those that failed (an
    exception, or a status of 500 and above).
    """

    def __init__(self, app: App, work: Work | None = None) -> None:
        self._app = app
        self.work = work or Work()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Count one request around the application's answer."""
        unit = self.work.begin()
        environ[UNIT] = unit
        status = [500]

        def watched(line: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            status[0] = int(line[:3])
            return start_response(line, headers, *exc_info)

        try:
            return _Body(self._app(environ, watched), unit, status)
        except BaseException:
            unit.end(failed=True)
            raise


class _Body:
    """The body of an answer, which the server closes after the last byte."""

    def __init__(self, body: Iterable[bytes], unit: Unit, status: list[int]) -> None:
        self._body = body
        self._unit = unit
        self._status = status

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._body
        except Exception:
            self._unit.end(failed=True)
            raise

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        try:
            if close is not None:
                close()
        finally:
            self._unit.end(failed=self._status[0] >= 500)
