"""The input of POST /v1/jobs: its query, its headers, and a body of one of three kinds, each with its bounds.

The audio as it is, a form with one file, or JSON with the audio as base64. The other fields may be in the query
or in the body, but not in both. Nothing here knows the dispatcher.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Annotated, Any

import msgspec
from starlette.requests import ClientDisconnect, Request

from voxpool.scheduler.config import ATTEMPTS_LIMIT, BACKOFF_MS_LIMIT, PRIORITY_MAX
from voxpool.scheduler.errors import BadInput, Rejected
from voxpool.scheduler.protocol.codec import check_audio
from voxpool.scheduler.protocol.field_types import TIMEOUT_MS_MAX, Name, Pair
from voxpool.scheduler.sentences import NAME_FORM, PAIR_FORM, wrong
from voxpool.scheduler.web.requests.multipart import Form
from voxpool.scheduler.web.requests.query import SECONDS_MAX, UNKNOWN, pairs_of, seconds_of, truth_of, whole_number_of
from voxpool.scheduler.web.wire.allowance import SLACK_BYTES, Incoming

RAW_TYPES = ("", "application/octet-stream", "application/x-www-form-urlencoded")
"""Media types that count as audio, like audio/*; the last one is the default of `curl --data-binary`."""
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
PAIR = re.compile(r"[a-z0-9-]{1,16}:[a-z0-9-]{1,16}")


WAV_AS_BASE64 = (
    "^UklGR[g-v][A-Za-z0-9+/]{4}[BFJNRVZdhlptx159]XQVZF"  # RIFF, four bytes of any kind, WAVE
    "([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$"
)
"""How base64 of a WAV file looks; only for the document, the check of the decoded bytes decides."""


WholeNumber = Annotated[float, msgspec.Meta(ge=1, le=TIMEOUT_MS_MAX, multiple_of=1)]
"""An integer as JSON Schema has it, for which 13.0 is one, too."""


class JobRequest(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """The body of a submit in JSON: a WAV file as base64; the rest may stand in the query instead."""

    audio: Annotated[bytes, msgspec.Meta(extra_json_schema={"pattern": WAV_AS_BASE64})]
    pair: Pair | None = None
    session: Name | None = None
    request_id: Name | None = None
    timeout_ms: WholeNumber | None = None
    wait_s: Annotated[float, msgspec.Meta(ge=0, le=SECONDS_MAX)] | None = None
    why: bool | None = None
    attempts_max: Annotated[float, msgspec.Meta(ge=1, le=ATTEMPTS_LIMIT, multiple_of=1)] | None = None
    backoff_ms: Annotated[float, msgspec.Meta(ge=0, le=BACKOFF_MS_LIMIT, multiple_of=1)] | None = None
    priority: Annotated[float, msgspec.Meta(ge=1, le=PRIORITY_MAX, multiple_of=1)] | None = None
    key: Name | None = None


class Submission(msgspec.Struct):
    """A requested job; `request_id` is empty when the client gave none."""

    audio: bytes = b""
    pair: str = ""
    session: str = ""
    request_id: str = ""
    timeout_ms: int | None = None
    wait_s: float = 0.0
    why: bool = False
    attempts_max: int | None = None
    backoff_ms: int | None = None
    priority: int | None = None
    key: str = ""
    kind: str = ""
    """What the body is: raw, form or json."""
    is_named: bool = False
    """Whether the request id is known before the body is read, or is to be made: then it can be refused unread."""


class Bodies:
    """Reads submissions with at most `audio_bytes_max` bytes of audio; what has come of them counts as `incoming`."""

    def __init__(self, audio_bytes_max: int, incoming: Incoming, retry_after_ms: int) -> None:
        self._incoming = incoming
        self._retry_after_ms = retry_after_ms
        self._audio_bytes_max = audio_bytes_max
        self._json: msgspec.json.Decoder[JobRequest] = msgspec.json.Decoder(JobRequest)

    def begin(self, request: Request) -> Submission:
        """Return the submission by query and headers. Raises BadInput, also for a body that would not be read."""
        submission = Submission()
        for name, text in pairs_of(request.scope["query_string"]):
            _put(submission, name, text)
        key = request.headers.get("idempotency-key")
        if key is not None:
            _put(submission, "request_id", key)
        kind = submission.kind = _kind(request)
        submission.is_named = kind == "raw" or bool(submission.request_id)
        if kind == "raw" and not submission.pair:
            raise BadInput("bad_pair", f"pair= is missing in the query; a pair is {PAIR_FORM}")
        return submission

    async def complete(self, request: Request, submission: Submission) -> None:
        """Read the body into `submission`. Raises BadInput, or Rejected: incoming_bytes_max."""
        kind = submission.kind
        if kind == "json":
            self._take_json(await self._whole(request, -(-self._audio_bytes_max // 3) * 4 + SLACK_BYTES), submission)
        elif kind == "form":
            form = Form(request.headers["content-type"], self._audio_bytes_max, _TEXTS)
            async with aclosing(self._parts(request, self._audio_bytes_max + SLACK_BYTES)) as parts:
                async for part in parts:
                    form.feed(part)
            submission.audio = form.end()
            for name, text in form.fields.items():
                _put(submission, name, text)
        else:
            submission.audio = await self._whole(request, self._audio_bytes_max)
        check_audio(submission.audio, self._audio_bytes_max)
        if not submission.pair:
            raise BadInput("bad_pair", f"pair is missing, in the query or in the body; write {PAIR_FORM}")

    def _take_json(self, body: bytes, submission: Submission) -> None:
        try:
            asked = self._json.decode(body)
        except (ValueError, RecursionError, OverflowError) as error:
            raise _explain(error) from None
        submission.audio = asked.audio
        for name in _TEXTS:
            value = getattr(asked, name)
            if value is not None:
                _set(submission, name, int(value) if name in _WHOLE else value)

    async def _whole(self, request: Request, bytes_max: int) -> bytes:
        return b"".join([part async for part in self._parts(request, bytes_max)])

    async def _parts(self, request: Request, bytes_max: int) -> AsyncGenerator[bytes, None]:
        """Yield the body as it comes; with a Content-Length that is too much it is not even read."""
        announced = request.headers.get("content-length", "")
        size = int(announced) if announced.isdigit() else 0
        if size > bytes_max:
            raise self._too_large()
        size = counted = 0
        try:
            async for part in request.stream():
                size += len(part)
                if size > bytes_max:
                    raise self._too_large()
                self._incoming.bytes += len(part)
                counted = size
                if self._incoming.is_full:
                    raise self._too_much()
                yield part
        except ClientDisconnect:
            raise BadInput("incomplete_audio", "the connection ended before the audio did") from None
        finally:
            self._incoming.bytes -= counted

    def _too_much(self) -> Rejected:
        detail = f"{self._incoming.bytes_max} bytes have come of bodies that are not complete, the most allowed"
        return Rejected("incoming_bytes_max", detail, self._retry_after_ms)

    def _too_large(self) -> BadInput:
        detail = f"the audio is above audio_bytes_max = {self._audio_bytes_max}; cut it into shorter pieces"
        return BadInput("audio_too_large", detail)


def _kind(request: Request) -> str:
    """Return raw, form or json. Raises BadInput: bad_content_type."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type == "application/json":
        return "json"
    if media_type == "multipart/form-data":
        return "form"
    if media_type in RAW_TYPES or media_type.startswith("audio/"):
        return "raw"
    kinds = "audio/wav (or none) for the audio itself, multipart/form-data or application/json"
    raise BadInput("bad_content_type", f"Content-Type {media_type[:80]!r}: send {kinds}")


def _pair_of(text: str) -> str:
    if not PAIR.fullmatch(text):
        raise BadInput("bad_pair", f"pair={text[:80]!r}: a pair is {PAIR_FORM}")
    return text


def _session_of(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise BadInput("bad_session_id", f"session={text[:80]!r}: ids are {NAME_FORM}")
    return text


def _request_id_of(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise BadInput("bad_request_id", f"request_id (or Idempotency-Key): ids are {NAME_FORM}")
    return text


def _key_of(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise BadInput("bad_key", f"key={text[:80]!r}: keys are {NAME_FORM}")
    return text


_TEXTS: dict[str, Callable[[str], Any]] = {
    "pair": _pair_of,
    "session": _session_of,
    "request_id": _request_id_of,
    "timeout_ms": lambda text: whole_number_of(text, "timeout_ms", 1, TIMEOUT_MS_MAX),
    "wait_s": lambda text: seconds_of(text, "wait_s"),
    "why": lambda text: truth_of(text, "why"),
    "attempts_max": lambda text: whole_number_of(text, "attempts_max", 1, ATTEMPTS_LIMIT),
    "backoff_ms": lambda text: whole_number_of(text, "backoff_ms", 0, BACKOFF_MS_LIMIT),
    "priority": lambda text: whole_number_of(text, "priority", 1, PRIORITY_MAX),
    "key": _key_of,
}
"""The fields of a submission beside the audio, and how each is read from a text."""
_WHOLE = frozenset({"timeout_ms", "attempts_max", "backoff_ms", "priority"})
_NOT_GIVEN = Submission()


def _put(submission: Submission, name: str, text: str) -> None:
    _set(submission, name, _TEXTS[name](text))


def _set(submission: Submission, name: str, value: Any) -> None:
    if getattr(submission, name) != getattr(_NOT_GIVEN, name):
        raise BadInput("given_twice", f"{name} is given twice; give it once, in the query, a header or the body")
    setattr(submission, name, value)


def _explain(error: Exception) -> BadInput:
    if not isinstance(error, msgspec.ValidationError):
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        return BadInput("broken_json", f"{why}; the body is one JSON object with the WAV file as base64 in audio")
    found = wrong(error, JobRequest.__struct_fields__)
    if "unknown field" in str(error):
        return BadInput(UNKNOWN, found.sentence)
    if not found.where:
        return BadInput("bad_message", f"the body {found.text}; it is one JSON object")
    return BadInput({"session": "bad_session_id"}.get(found.field, f"bad_{found.field}"), found.sentence)
