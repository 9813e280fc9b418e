"""The HTTP door of jobs: POST, GET and DELETE under /v1/jobs."""

from __future__ import annotations

import asyncio
import random
import re

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from scheduler.config import Settings
from scheduler.dispatcher import Dispatcher
from scheduler.errors import BadInput
from scheduler.job import CANCELLED, COMPLETED, DISPATCHED, FAILED, WAITING, Job
from scheduler.seams import Observer
from scheduler.web.job_list import JobList
from scheduler.web.query import seconds, whole_number
from scheduler.web.results import Results
from scheduler.web.views import JobPage, check_audio, job_view

TIMEOUT_MS_MAX = 24 * 3600 * 1000
PAGE_MAX = 1000
PAGE_DEFAULT = 100
STATES = (WAITING, DISPATCHED, COMPLETED, FAILED, CANCELLED)
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PAIR = re.compile(r"[a-z0-9-]{1,16}:[a-z0-9-]{1,16}")


class JobDoor:
    """Jobs over HTTP."""

    def __init__(
        self,
        settings: Settings,
        dispatcher: Dispatcher,
        results: Results,
        observer: Observer,
        random: random.Random,
    ) -> None:
        self._settings = settings
        self._dispatcher = dispatcher
        self._results = results
        self._observer = observer
        self._random = random
        self._list = JobList(dispatcher.find_place, lambda: dispatcher.newest_place)

    def routes(self) -> list[BaseRoute]:
        """Return the routes of this door."""
        return [
            Route("/v1/jobs", self.submit, methods=["POST"]),
            Route("/v1/jobs", self.page, methods=["GET"]),
            Route("/v1/jobs/{job_id}", self.show, methods=["GET"]),
            Route("/v1/jobs/{job_id}", self.cancel, methods=["DELETE"]),
        ]

    async def submit(self, request: Request) -> Response:
        """Take a job; 200 with its result when it ends within wait_s, else 202."""
        query = request.query_params
        pair = query.get("pair", "")
        if not _PAIR.fullmatch(pair):
            raise BadInput("bad_pair", f"pair={pair!r}: a pair is source:target, such as zh:en")
        session_id = query.get("session", "")
        if session_id and not _NAME.fullmatch(session_id):
            raise BadInput("bad_session_id", f"session={session_id[:80]!r}: ids are 1 to 64 of A-Z a-z 0-9 . _ -")
        request_id = request.headers.get("idempotency-key", "") or f"r-{self._random.getrandbits(96):024x}"
        if not _NAME.fullmatch(request_id):
            raise BadInput("bad_request_id", "Idempotency-Key: ids are 1 to 64 of A-Z a-z 0-9 . _ -")
        wait_s = self._wait_s(request)
        timeout_ms = whole_number(request, "timeout_ms", 1, TIMEOUT_MS_MAX)
        why = whole_number(request, "why", 0, 1) == 1
        try:
            audio = await self._audio(request)
        except BadInput as error:
            self._observer.job_rejected(pair, error.reason)
            raise
        job = self._dispatcher.submit(
            pair=pair,
            audio=audio,
            request_id=request_id,
            session_id=session_id,
            timeout_ms=timeout_ms,
            affinity=bool(session_id),
            why=why,
        )
        del audio  # it belongs to the job, which lets go of it when it ends
        await self._wait(request, job, wait_s)
        return _answer(job, 200 if job.ended else 202, {"location": f"/v1/jobs/{job.job_id}"})

    async def show(self, request: Request) -> Response:
        """Show a job; with wait_s, once it has ended or that time is over."""
        job = find_job(request, self._dispatcher, self._settings)
        await self._wait(request, job, self._wait_s(request))
        return _answer(job)

    async def page(self, request: Request) -> Response:
        """List jobs, newest first, at most `limit`, of one `state` if that is given, from `cursor` on."""
        state = request.query_params.get("state", "")
        if state and state not in STATES:
            raise BadInput("bad_state", f"state={state[:80]!r}: one of {', '.join(STATES)}")
        limit = whole_number(request, "limit", 1, PAGE_MAX) or PAGE_DEFAULT
        page = self._list.page(limit, state, whole_number(request, "cursor", 1, 10**11))
        following = None if page.cursor is None else str(page.cursor)
        views = JobPage([job_view(job, with_output=False) for job in page.jobs], len(self._dispatcher.table), following)
        return Response(msgspec.json.encode(views), media_type="application/json")

    async def cancel(self, request: Request) -> Response:
        """Cancel a job unless it has ended, and show it."""
        job = find_job(request, self._dispatcher, self._settings)
        self._dispatcher.cancel(job.job_id)
        return _answer(job)

    async def _audio(self, request: Request) -> bytes:
        bytes_max = self._settings.audio_bytes_max
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > bytes_max:
            raise _too_large(bytes_max)
        parts = []
        size = 0
        try:
            async for part in request.stream():
                size += len(part)
                if size > bytes_max:
                    raise _too_large(bytes_max)
                parts.append(part)
        except ClientDisconnect:
            raise BadInput("incomplete_audio", "the connection ended before the audio did") from None
        audio = b"".join(parts)
        check_audio(audio, bytes_max)
        return audio

    async def _wait(self, request: Request, job: Job, wait_s: float) -> None:
        """Wait for the end of `job`, but not for a client that has gone."""
        if wait_s > 0 and not job.ended:
            gone = asyncio.ensure_future(_gone(request))
            try:
                await self._results.wait(job, wait_s, gone)
            finally:
                gone.cancel()

    def _wait_s(self, request: Request) -> float:
        return seconds(request, "wait_s", self._settings.wait_s_max)


def find_job(request: Request, dispatcher: Dispatcher, settings: Settings) -> Job:
    """Return the job that the path names. Raises BadInput: unknown_job."""
    job_id = request.path_params["job_id"]
    job = dispatcher.find(job_id)
    if job is None:
        kept = f"finished jobs are kept for {settings.retention_s:g} s"
        raise BadInput("unknown_job", f"no job {job_id[:80]!r}; {kept}")
    return job


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _too_large(bytes_max: int) -> BadInput:
    return BadInput("audio_too_large", f"the audio is above audio_bytes_max = {bytes_max}; cut it into shorter pieces")


def _answer(job: Job, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(job_view(job)), status, headers, "application/json")
