"""Which results one user waits for, and what is wrong with those that come: never, twice, not the right one.

Reasons are short words without ids, so that they can be counted. Pure: the time comes in as an argument.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import takewhile
from typing import Any

import msgspec

from voxpool.loadtest.users import _audio

ENDED_KEPT = 256
"""Request ids that a user remembers, to notice a result that comes twice."""

NO_RESULT = "no_result"
TWICE = "twice"
WRONG_RESULT = "wrong_result"
STRANGE = "not_asked_for"


class Wanted(msgspec.Struct):
    """A job that was submitted, and what its result must be."""

    request_id: str
    intended_s: float
    answer: _audio.Heard | None
    """None: only the state counts, nodes of somebody else answer."""
    job_id: str = ""
    sends: int = 1
    """How often it was submitted: after a reconnect the result of each may come."""
    retries: int = 0
    """How often it may still be submitted again after a refusal with a time to retry."""
    cancel_after_s: float | None = None
    """How long after it was accepted its client cancels it; None = never."""
    cancelled_s: float | None = None
    """When its client asked for its end."""
    state: str = ""
    """How it ended; "" = it has not, or no result came."""
    output: Any = None
    """The result that came."""
    tag: Any = None
    """The user's own: what it belongs to."""


class Judged(msgspec.Struct):
    """What came: the job, or None for one that nobody waits for; and what is wrong with it, "" = nothing."""

    wanted: Wanted | None
    failure: str


class Expected:
    """The jobs of one user that are under way."""

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._open: OrderedDict[str, Wanted] = OrderedDict()
        self._ended: OrderedDict[str, int] = OrderedDict()
        """Request id -> results that may still come because it was submitted again."""

    def __len__(self) -> int:
        return len(self._open)

    def add(self, wanted: Wanted) -> None:
        """A job is about to be submitted."""
        self._open[wanted.request_id] = wanted

    def find(self, request_id: str) -> Wanted | None:
        """Return the job under way, or None."""
        return self._open.get(request_id)

    def all(self) -> list[Wanted]:
        """Return the jobs under way, in the order of their submits."""
        return list(self._open.values())

    def drop(self, request_id: str) -> Wanted | None:
        """Wait no more: it was refused, or it is given up; a result that comes all the same is no second one."""
        wanted = self._open.pop(request_id, None)
        if wanted is not None:
            wanted.sends += 1
            self._remember(wanted)
        return wanted

    def came(self, request_id: str, state: str, output: Any, error: str | None) -> Judged:
        """Take a result; a second one for the same request, or one for none, is a failure."""
        wanted = self._open.pop(request_id, None)
        if wanted is None:
            return Judged(None, self._one_more(request_id))
        self._remember(wanted)
        return Judged(wanted, failure_of(state, output, error, wanted.answer))

    def overdue(self, now_s: float) -> list[Wanted]:
        """Return, and forget, the jobs whose deadline is over."""
        due_s = now_s - self._deadline_s  # they stand in the order of their starts, but for a few ms
        late = list(takewhile(lambda wanted: wanted.intended_s <= due_s, self._open.values()))
        for wanted in late:
            self.drop(wanted.request_id)
        return late

    def _one_more(self, request_id: str) -> str:
        more = self._ended.get(request_id)
        if more is None:
            return STRANGE
        self._ended[request_id] = more - 1
        return "" if more > 0 else TWICE

    def _remember(self, wanted: Wanted) -> None:
        self._ended[wanted.request_id] = wanted.sends - 1
        if len(self._ended) > ENDED_KEPT:
            self._ended.popitem(last=False)


def failure_of(state: str, output: Any, error: str | None, answer: _audio.Heard | None) -> str:
    """Return what is wrong with a job that ended, "" = nothing."""
    if state != "completed":
        return f"{state}:{error}" if error else state
    if answer is not None and not _audio.is_answer(output, answer):
        return WRONG_RESULT
    return ""
