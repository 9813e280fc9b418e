"""The HTTP door of jobs: POST, GET and DELETE under /v1/jobs."""

from __future__ import annotations

import asyncio
import random
from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from voxpool.scheduler.config import Settings, ms
from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.jobs.job_list import STATES
from voxpool.scheduler.core.jobs.reasons import STOPPING
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.errors import BadInput, Rejected
from voxpool.scheduler.protocol.answers import JobPage
from voxpool.scheduler.protocol.trace_context import checked
from voxpool.scheduler.security.authentication import FORBIDDEN, AccessRefused
from voxpool.scheduler.web.gates.authorization import caller_of
from voxpool.scheduler.web.gates.errors_answered import Endpoint
from voxpool.scheduler.web.gates.rate_limit import RateLimit
from voxpool.scheduler.web.requests.bodies import Bodies
from voxpool.scheduler.web.requests.query import seconds, whole_number
from voxpool.scheduler.web.sessions.results import Results
from voxpool.scheduler.web.views import job_view
from voxpool.scheduler.web.wire.allowance import Incoming

LOOK_S, LOOKS_S_MAX = 0.05, 1.0
"""First and longest time between two looks at a job that is at another scheduler."""
PAGE_MAX = 1000
PAGE_DEFAULT = 100


class JobDoor:
    """Jobs over HTTP."""

    def __init__(
        self,
        settings: Settings,
        dispatcher: Dispatcher,
        rate_limit: RateLimit,
        incoming: Incoming,
        results: Results,
        observer: Observer,
        random: random.Random,
    ) -> None:
        self._settings = settings
        self._dispatcher = dispatcher
        self._rate_limit = rate_limit
        self._results = results
        self._observer = observer
        self._random = random
        self._bodies = Bodies(settings.audio_bytes_max, incoming, ms(settings.retry_after_s))

    def routes(self) -> list[BaseRoute]:
        """Return the routes of this door."""
        return [
            Route("/v1/jobs", Endpoint(self.submit), methods=["POST"]),
            Route("/v1/jobs", self.page, methods=["GET"]),
            Route("/v1/jobs/{job_id}", self.show, methods=["GET"]),
            Route("/v1/jobs/{job_id}", self.cancel, methods=["DELETE"]),
        ]

    async def submit(self, request: Request) -> Response:
        """Take a job; 200 with its result when it ends within wait_s, else 202."""
        asked = self._bodies.begin(request)
        if asked.is_named:
            self._rate_limit.check(caller_of(request), asked.pair, asked.request_id)
        try:
            await self._bodies.complete(request, asked)
        except (BadInput, Rejected) as error:
            if asked.pair:
                self._observer.job_rejected(asked.pair, error.reason)
            raise
        if not asked.is_named:
            self._rate_limit.check(caller_of(request), asked.pair, asked.request_id)
        job = self._dispatcher.submit(
            pair=asked.pair,
            audio=asked.audio,
            request_id=asked.request_id or f"r-{self._random.getrandbits(96):024x}",
            session_id=asked.session,
            timeout_ms=asked.timeout_ms,
            affinity=bool(asked.session),
            why=asked.why,
            attempts_max=asked.attempts_max,
            backoff_ms=asked.backoff_ms,
            share=caller_of(request).share(asked.priority, asked.key) if self._dispatcher.is_fair else None,
            owner=caller_of(request).name,
            trace=checked(request.headers.get("traceparent")),
        )
        await self._accepted(job)
        asked.audio = b""  # it belongs to the job, which frees it when it ends
        wait_s = min(asked.wait_s, self._settings.wait_s_max)
        await self._wait(request, job, wait_s)
        if job.reason == STOPPING:
            raise self._rate_limit.stopped()
        return _answer(job, 200 if job.ended else 202, {"location": f"/v1/jobs/{job.job_id}"})

    async def show(self, request: Request) -> Response:
        """Show a job; with wait_s, once it has ended or that time is over."""
        job = await find_job(request, self._dispatcher, self._settings)
        await self._wait(request, job, self._wait_s(request))
        return _answer(await self._present(job))

    async def page(self, request: Request) -> Response:
        """List jobs, newest first, at most `limit`, of one `state` if that is given, from `cursor` on."""
        state = request.query_params.get("state")
        if state is not None and state not in STATES:
            raise BadInput("bad_state", f"state={state[:80]!r}: one of {', '.join(STATES)}")
        limit = whole_number(request, "limit", 1, PAGE_MAX) or PAGE_DEFAULT
        caller = caller_of(request)
        owner = None if caller.is_admin else caller.name
        page = await self._dispatcher.jobs.page(limit, state or "", request.query_params.get("cursor"), owner)
        views = JobPage([job_view(job, with_output=False) for job in page.jobs], page.total, page.cursor)
        return Response(msgspec.json.encode(views), media_type="application/json")

    async def cancel(self, request: Request) -> Response:
        """Cancel a job unless it has ended, and show it."""
        job = await find_job(request, self._dispatcher, self._settings)
        self._dispatcher.cancel(job.job_id)
        return _answer(await self._present(job))

    async def _accepted(self, job: Job) -> None:
        """Return when `job` is accepted. Raises Rejected when it is not."""
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._dispatcher.when_accepted(job, lambda _: _settle(answer, None), partial(_settle, answer))
        await answer

    async def _present(self, job: Job) -> Job:
        """Return `job` as it is now: another scheduler may know more of it than this one."""
        return job if job.ended else await self._dispatcher.look_up(job.job_id) or job

    async def _wait(self, request: Request, job: Job, wait_s: float) -> None:
        """Wait for the end of `job`, but not for a client that has gone."""
        if wait_s > 0 and not job.ended:
            gone = asyncio.ensure_future(_gone(request))
            try:
                if self._dispatcher.is_reported(job):
                    await self._results.wait(job, wait_s, gone)
                else:
                    await self._watch_from_afar(job, wait_s, gone)
            finally:
                gone.cancel()

    async def _watch_from_afar(self, job: Job, wait_s: float, gone: asyncio.Future[None]) -> None:
        """Return when `job` has ended, whose client is at another scheduler, or after `wait_s`: look now and then."""
        loop = asyncio.get_running_loop()
        end_s, pause_s = loop.time() + wait_s, LOOK_S
        while (left_s := end_s - loop.time()) > 0 and not gone.done():
            await asyncio.wait([gone], timeout=min(pause_s, left_s))
            try:
                found = await self._dispatcher.look_up(job.job_id)
            except Rejected:  # nobody knows now; the request may end before anybody does
                continue
            finally:
                pause_s = min(2 * pause_s, LOOKS_S_MAX)
            if found is None or found.ended:
                return

    def _wait_s(self, request: Request) -> float:
        return seconds(request, "wait_s", self._settings.wait_s_max)


async def find_job(request: Request, dispatcher: Dispatcher, settings: Settings) -> Job:
    """Return the job that the path names. Raises BadInput: unknown_job, and AccessRefused: it is another caller's."""
    job_id = request.path_params["job_id"]
    job = dispatcher.find(job_id) or await dispatcher.look_up(job_id)
    if job is None:
        kept = f"finished jobs are kept for {settings.retention_s:g} s"
        raise BadInput("unknown_job", f"no job {job_id[:80]!r}; {kept}")
    if not caller_of(request).owns(job.owner):
        raise AccessRefused(FORBIDDEN, f"job {job_id[:80]!r} is not yours")
    return job


def _settle(answer: asyncio.Future[None], rejected: Rejected | None) -> None:
    if answer.done():
        return  # its request has ended
    if rejected is None:
        answer.set_result(None)
    else:
        answer.set_exception(rejected)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _answer(job: Job, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(job_view(job)), status, headers, "application/json")
