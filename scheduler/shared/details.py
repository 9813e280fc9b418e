"""What schedulers write into the free fields of a job's record: its id, `meta` and `outcome`. Pure.

The id is the idempotency key: the same request of the same owner has the same id at every scheduler.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import Any, NamedTuple

import msgspec

from voxpool.scheduler.core.jobs.job import CANCELLED, COMPLETED, FAILED, key_of

DIGEST_BYTES = 15
"""120 bits of the request's name: no two of them meet, and base32 needs no padding."""
STATES = {"c": COMPLETED, "f": FAILED, "x": CANCELLED, "g": CANCELLED}
"""The letter of a record -> the state of the job."""


def partition_of(pair: str, partitions: int) -> int:
    """Return the partition of the jobs of `pair`."""
    return zlib.crc32(pair.encode()) % partitions


def job_id_of(partition: int, owner: str, request_id: str) -> str:
    """Return the id of the job that `owner` asks for as `request_id`; its partition stands before the dot."""
    digest = hashlib.blake2b(key_of(owner, request_id).encode(), digest_size=DIGEST_BYTES).digest()
    return f"{partition}.{base64.b32encode(digest).decode().lower()}"


def partition_in(job_id: str, partitions: int) -> int | None:
    """Return the partition that a job id names, or None when it is no id of a shared job."""
    number, dot, _ = job_id.partition(".")
    if not dot or not number.isdecimal() or int(number) >= partitions:
        return None
    return int(number)


def content_of(audio: bytes) -> str:
    """Return a word for the content of `audio`, the same in all processes: other audio under its id is refused."""
    return f"{zlib.crc32(audio):x}-{len(audio)}"


class Details(NamedTuple):
    """What a scheduler needs of a job of another one: the words of `meta` behind the name of the audio."""

    owner: str
    request_id: str
    session_id: str
    trace: str
    submitted_ms: int
    backoff_ms: int
    affinity: bool

    def __str__(self) -> str:
        numbers = f"{self.submitted_ms} {self.backoff_ms} {int(self.affinity)}"
        return f"{self.owner or '-'} {self.request_id} {self.session_id or '-'} {self.trace or '-'} {numbers}"


def details_of(meta: str) -> Details:
    """Return the details in the `meta` of a record."""
    _, owner, request_id, session_id, trace, submitted_ms, backoff_ms, affinity = meta.split(" ")
    texts = ["" if text == "-" else text for text in (owner, session_id, trace)]
    numbers = int(submitted_ms), int(backoff_ms), affinity == "1"
    return Details(texts[0], request_id, texts[1], texts[2], *numbers)


class Outcome(NamedTuple):
    """How a job has ended: the field `outcome` of its record. A script writes reason and detail only.

    What may be long comes last: lists are without it.
    """

    reason: str = ""
    node_id: str = ""
    dispatched_ms: int = 0
    attempts: int = 0
    detail: str = ""
    output: Any = None

    def __str__(self) -> str:
        rest = _encoder.encode((self.detail, self.output)).decode()
        return f"{self.reason}|{self.node_id}|{self.dispatched_ms}|{self.attempts}|{rest}"


def outcome_of(text: str) -> Outcome:
    """Return the outcome that a record or message has as `text`."""
    reason, _, rest = text.partition("|")
    if rest.count("|") < 3:
        return Outcome(reason, detail=rest)
    node_id, dispatched_ms, attempts, rest = rest.split("|", 3)
    detail, output = _decode(rest) if rest else ("", None)
    return Outcome(reason, node_id, int(dispatched_ms), int(attempts), detail, output)


_encoder = msgspec.json.Encoder()
_decode = msgspec.json.Decoder(tuple[str, Any]).decode
