"""A scheduler with planted bugs, which the ledger of a chaos run must find.

`python -m tests.load.chaos.planted BUG serve …` is a `voxpool serve` with one of BUGS.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

import msgspec

from voxpool.scheduler.cli import main
from voxpool.scheduler.protocol.messages import JobResult
from voxpool.scheduler.shared.partition.feed_answers import FeedAnswers
from voxpool.scheduler.web.sessions.session import SessionConnection

RIGHT = 10
"""Results without a bug between two with one."""
Bug = Callable[[JobResult], Sequence[JobResult]]


def twice(result: JobResult) -> Sequence[JobResult]:
    """Return a result and the same one as a new result."""
    return [result, msgspec.structs.replace(result, number=None)]


def never(result: JobResult) -> Sequence[JobResult]:
    """Return nothing."""
    return []


def of_another(result: JobResult) -> Sequence[JobResult]:
    """Return a result with the output of another job."""
    return [msgspec.structs.replace(result, output={"crc32": 1, "bytes": 1, "number": 1})]


def right(result: JobResult) -> Sequence[JobResult]:
    """Return the result as it is."""
    return [result]


def plant(*bugs: Bug) -> None:
    """Let the scheduler have these bugs in turns."""
    send = SessionConnection.send
    turns = itertools.cycle([one for bug in bugs for one in (*[right] * RIGHT, bug)])

    def wrong(connection: SessionConnection, message: Any) -> int:
        if not isinstance(message, JobResult):
            return send(connection, message)
        return sum([send(connection, one) for one in next(turns)(message)])

    patch.object(SessionConnection, "send", wrong).start()


def results() -> None:
    """Some results come twice, some never, and some have the output of another job."""
    plant(twice, never, of_another)


def no_asking_again() -> None:
    """What Redis has forgotten is not asked for again."""

    def ask_again(feed: FeedAnswers) -> None:
        feed.must_beat = feed._must_reconcile = True
        feed.hunger.forget()

    patch.object(FeedAnswers, "ask_again", ask_again).start()


BUGS = {"results": results, "no_asking_again": no_asking_again}

if __name__ == "__main__":
    BUGS[sys.argv.pop(1)]()
    main()
