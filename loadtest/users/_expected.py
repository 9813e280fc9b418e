"""The results that one user waits for, and the errors of results: missing, duplicate, wrong.

Reasons are short words without ids, so that they can be counted. Pure: the time is an argument.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import takewhile
from typing import Any

import msgspec

from voxpool.loadtest.users import _audio

ENDED_KEPT = 256
"""Number of request ids that a user keeps to detect duplicate results."""

NO_RESULT = "no_result"
TWICE = "twice"
WRONG_RESULT = "wrong_result"
STRANGE = "not_asked_for"


class Wanted(msgspec.Struct):
    """A submitted job and its expected result."""

    request_id: str
    intended_s: float
    answer: _audio.AudioAnswer | None
    """The expected answer; None: only the state is checked, because other nodes answer."""
    job_id: str = ""
    sends: int = 1
    """Number of submits: after a reconnect each may have a result."""
    key: str = ""
    """The key of its stream."""
    retries: int = 0
    """Number of further submits after refusals with a retry time."""
    cancel_after_s: float | None = None
    """Time after the acceptance at which its client cancels it; None = never."""
    cancelled_s: float | None = None
    """Time of its client's cancel."""
    state: str = ""
    """The state in which it ended; "" = it has not, or no result came."""
    output: Any = None
    """The result that came."""
    tag: Any = None
    """Data of the user class, such as its utterance."""


class Judged(msgspec.Struct):
    """A judged result: the job, or None when no job waits for it; and the failure, "" = none."""

    wanted: Wanted | None
    failure: str


class Expected:
    """The unfinished jobs of one user."""

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._open: OrderedDict[str, Wanted] = OrderedDict()
        self._ended: OrderedDict[str, int] = OrderedDict()
        """Request id -> number of results that may still come because of repeated submits."""

    def __len__(self) -> int:
        return len(self._open)

    def add(self, wanted: Wanted) -> None:
        """Add a job before its submit."""
        self._open[wanted.request_id] = wanted

    def find(self, request_id: str) -> Wanted | None:
        """Return the unfinished job, or None."""
        return self._open.get(request_id)

    def all(self) -> list[Wanted]:
        """Return the unfinished jobs in the order of their submits."""
        return list(self._open.values())

    def drop(self, request_id: str) -> Wanted | None:
        """Stop waiting for a refused or given up job; a later result of it is not a duplicate."""
        wanted = self._open.pop(request_id, None)
        if wanted is not None:
            wanted.sends += 1
            self._remember(wanted)
        return wanted

    def came(self, request_id: str, state: str, output: Any, error: str | None) -> Judged:
        """Judge a result; a second one for the same request, or one without a request, is a failure."""
        wanted = self._open.pop(request_id, None)
        if wanted is None:
            return Judged(None, self._one_more(request_id))
        self._remember(wanted)
        return Judged(wanted, failure_of(state, output, error, wanted.answer))

    def overdue(self, now_s: float) -> list[Wanted]:
        """Remove and return the jobs past their deadline."""
        due_s = now_s - self._deadline_s  # they are in the order of their starts, within a few ms
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


def failure_of(state: str, output: Any, error: str | None, answer: _audio.AudioAnswer | None) -> str:
    """Return the failure of an ended job, "" = none."""
    if state != "completed":
        return f"{state}:{error}" if error else state
    if answer is not None and not _audio.is_answer(output, answer):
        return WRONG_RESULT
    return ""
