"""The scripts of lua/jobs/: one typed call for each (ARGV of the script's head), and the answers that are rows.

Nothing here talks to a store. `scheduler` is the name of the one that calls; times are ms of its clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from voxpool.scheduler.config import SUBMIT
from voxpool.scheduler.core.scripts import ScriptCall

LIMIT_MAX = 500
"""The most entries that one call of beat, due or sweep may remove: bounds its time on the server."""
COST = 1_000_000
"""What a job costs a key of weight 1; the same in lua/jobs/_turns.lua."""
NOBODY = "*"
"""The key of those without a token in a turn; the empty key is that of jobs that came back."""
TAKEN_MAX = 100_000
"""More jobs than one scheduler runs of a partition."""


class Said(StrEnum):
    """What a job script may answer beside data; the heads of lua/jobs/ explain each."""

    WAIT = "WAIT"
    GRANT = "GRANT"
    KNOWN = "KNOWN"
    CONFLICT = "CONFLICT"
    FULL = "FULL"
    OK = "OK"
    LATE = "LATE"
    TAKEN = "TAKEN"
    ENDED = "ENDED"
    GONE = "GONE"
    KEPT = "KEPT"
    NEW = "NEW"
    LAPSED = "LAPSED"
    MORE = "MORE"
    ALL = "ALL"


class Record(NamedTuple):
    """A job as the store has it; the fields are those of lua/README.md."""

    state: str
    by: str
    attempt: int
    client: str
    lost: int
    bytes: int
    until_ms: str
    prefer: str
    since_ms: int
    pair: str
    place: int
    first: int
    expires_ms: int
    attempts_max: int
    content: str
    turn: str
    meta: str
    outcome: str

    @property
    def ended(self) -> bool:
        """Whether it has reached a final state."""
        return self.state in "cfxg"


def record_of(text: str) -> Record:
    """Return the record that a script has returned as `text`."""
    (
        state,
        by,
        attempt,
        client,
        lost,
        bytes,
        until,
        prefer,
        since,
        pair,
        place,
        first,
        expires,
        attempts_max,
        content,
        turn,
        meta,
        outcome,
    ) = text.split("|", 17)
    return Record(
        state,
        by,
        int(attempt),
        client,
        int(lost),
        int(bytes),
        until,
        prefer,
        int(since),
        pair,
        int(place),
        int(first),
        int(expires),
        int(attempts_max),
        content,
        turn,
        meta,
        outcome,
    )


class Submit(NamedTuple):
    """A job to be entered; `room` = the caller has reserved a slot for it."""

    job_id: str
    pair: str
    room: bool
    expires_ms: int
    attempts_max: int
    bytes: int
    content: str
    prefer: str
    meta: str
    turn: str = ""
    """`priority.cost.key` when the order is fair (turn_of); "" = the order of the submits."""


class Taken(NamedTuple):
    """A job that the caller of take or mine has."""

    job_id: str
    attempt: int
    pair: str
    client: str
    bytes: int
    expires_ms: int
    lost: int
    attempts_max: int
    meta: str
    prefer: str = ""


class Return(NamedTuple):
    """An attempt to be given back: `counted` against attempts_max or not; it waits again after `pause_ms`.

    When the order is fair, the key `pays` once more for a counted attempt that failed by itself.
    """

    job_id: str
    attempt: int
    counted: bool
    pause_ms: int
    reason: str
    pays: bool = False


class Mail(NamedTuple):
    """A message of the store: its number (16 digits, in order), kind, and what lua/jobs/mail.lua says of it."""

    number: str
    kind: str
    rest: str


class Bounds(NamedTuple):
    """What a submit may not exceed: unfinished jobs and their audio in the partition, waiting jobs of a pair."""

    jobs_max: int
    bytes_max: int
    waiting_max: int
    elsewhere: str = ""
    """What the keys of its jobs have in other partitions (totals.py)."""


def turn_of(priority: int, key: str, weight: float) -> str:
    """Return the turn of a job: its key, "" for a caller without a token, is charged COST / weight for it."""
    return f"{priority}.{max(1, round(COST / weight))}.{key or NOBODY}"


def owner_of(turn: str) -> str:
    """Return the key of a turn whose unfinished jobs are counted; "" for none."""
    key = turn.split(".", 2)[2] if turn else ""
    return "" if key == NOBODY else key


def submit(
    scheduler: str, now_ms: int, floor: int, waiting_ms: int, bounds: Bounds, jobs: Sequence[Submit]
) -> ScriptCall:
    """Answer: WAIT '', GRANT attempt, KNOWN record, CONFLICT '' or FULL reason for each job."""
    args = [scheduler, str(now_ms), str(floor), str(waiting_ms), *map(str, bounds)]
    for job_id, pair, room, expires_ms, attempts_max, size, content, prefer, meta, turn in jobs:
        rest = f"{expires_ms}|{attempts_max}|{content}|{turn}|{meta}|"
        args += (job_id, pair, "1" if room else "0", str(size), prefer, turn, rest)
    return ScriptCall("submit", args)


def take(
    scheduler: str, now_ms: int, floor: int, wants: Sequence[tuple[str, int, bool]], order: str = SUBMIT
) -> ScriptCall:
    """Answer: rows for taken_of. `wants` = (pair, jobs at most, whether to be invited for later ones)."""
    args = [scheduler, str(now_ms), str(floor), order]
    for pair, want, hungry in wants:
        args += (pair, str(want), "1" if hungry else "0")
    return ScriptCall("take", args)


def taken_of(answer: Sequence[str]) -> list[Taken]:
    """Return the jobs in an answer of take or mine."""
    found = []
    for job_id, text in zip(answer[::2], answer[1::2], strict=True):
        record = record_of(text)
        limits = (record.expires_ms, record.lost, record.attempts_max)
        found.append(
            Taken(job_id, record.attempt, record.pair, record.client, record.bytes, *limits, record.meta, record.prefer)
        )
    return found


def finish(scheduler: str, now_ms: int, ends: Sequence[tuple[str, int, str, str]]) -> ScriptCall:
    """Answer: OK client or LATE '' for each (job, attempt, state, outcome); state is c or f."""
    args = [scheduler, str(now_ms)]
    for job_id, attempt, state, outcome in ends:
        args += (job_id, str(attempt), state, outcome)
    return ScriptCall("finish", args)


def requeue(scheduler: str, now_ms: int, waiting_ms: int, returns: Sequence[Return]) -> ScriptCall:
    """Answer: OK, ENDED or LATE for each."""
    args = [scheduler, str(now_ms), str(waiting_ms)]
    for job_id, attempt, counted, pause_ms, reason, pays in returns:
        args += (job_id, str(attempt), str(counted + (counted and pays)), str(pause_ms), reason)
    return ScriptCall("requeue", args)


def cancel(scheduler: str, now_ms: int, ends: Sequence[tuple[str, str, str]]) -> ScriptCall:
    """Answer: OK, ENDED or KEPT and the record, or GONE '' for each (job, state, outcome); state is x, g or f."""
    return ScriptCall("cancel", [scheduler, str(now_ms), *(text for end in ends for text in end)])


def claim(scheduler: str, now_ms: int, running: Sequence[tuple[str, int]]) -> ScriptCall:
    """Answer: OK record or GONE '' for each (job, attempt) that a node runs."""
    args = [scheduler, str(now_ms)]
    for job_id, attempt in running:
        args += (job_id, str(attempt))
    return ScriptCall("claim", args)


class NameCall(NamedTuple):
    """A node and its connection; `process` "" = it has left, `again` = the caller has had the name before."""

    node_id: str
    number: int
    process: str
    again: bool


def nodes(scheduler: str, now_ms: int, names: Sequence[NameCall]) -> ScriptCall:
    """Answer: OK '' or TAKEN scheduler for each."""
    args = [scheduler, str(now_ms)]
    for node_id, number, process, again in names:
        args += (node_id, str(number), process, "1" if again else "0")
    return ScriptCall("nodes", args)


def mail(scheduler: str, upto: str, limit: int) -> ScriptCall:
    """Answer: MORE or ALL, then texts for mail_of; acknowledges all numbers up to `upto`."""
    return ScriptCall("mail", [scheduler, upto, str(limit)])


def mail_of(text: str) -> Mail:
    """Return a message of an answer of mail, or of a hint."""
    number, kind, rest = text.split("|", 2)
    return Mail(number, kind, rest)


def beat(
    scheduler: str,
    now_ms: int,
    lease_ms: int,
    waiting_ms: int,
    limit: int,
    judges: bool,
    load: str = "",
    keys: Sequence[str] = (),
) -> ScriptCall:
    """Answer: OK, LAPSED or NEW, open jobs, bytes, loads, jobs|bytes for each key, (dead scheduler, its jobs)*."""
    args = [scheduler, str(now_ms), str(lease_ms), str(waiting_ms), str(limit), "1" if judges else "0", load, *keys]
    return ScriptCall("beat", args)


def due(now_ms: int, waiting_ms: int, limit: int) -> ScriptCall:
    """Answer: [count]."""
    return ScriptCall("due", [str(now_ms), str(waiting_ms), str(limit)])


def mine(scheduler: str) -> ScriptCall:
    """Answer: rows for taken_of."""
    return ScriptCall("mine", [scheduler, str(TAKEN_MAX)])


def sweep(before_ms: int, keep: int, limit: int) -> ScriptCall:
    """Answer: [count]."""
    return ScriptCall("sweep", [str(before_ms), str(keep), str(limit)])


def find(job_ids: Sequence[str]) -> ScriptCall:
    """Answer: the record or '' for each."""
    return ScriptCall("find", list(job_ids))


def place(job_id: str) -> ScriptCall:
    """Answer: the record or ''; of a waiting job then what is before it: [before, line, higher, keys]."""
    return ScriptCall("place", [job_id])


def list_jobs(from_place: int, limit: int) -> ScriptCall:
    """Answer: the next place (0 = none), the number of all jobs, (job record)*; `from_place` 0 = the newest."""
    return ScriptCall("list", [str(from_place), str(limit)])
