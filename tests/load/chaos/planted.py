"""A scheduler with planted bugs, which the ledger of a chaos run must find.

`python -m tests.load.chaos.planted serve …` is a `voxpool serve` that sends some results twice, some not at all, and
some to the wrong job.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

import msgspec

from voxpool.scheduler.cli import main
from voxpool.scheduler.protocol.messages import JobResult
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


if __name__ == "__main__":
    plant(twice, never, of_another)
    main()
