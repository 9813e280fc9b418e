"""Derives the outcome of the jobs from the counts of operations. Pure, so that a report can be checked again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from voxpool.loadtest.report._records import ErrorCount, Jobs, Operation

SUBMIT, RESULT, CANCEL = "submit", "result", "cancel"
"""Names of the operations of a job; a cancelled job has a cancel and no result."""
NOT_OF_CLIENTS = ("NODE", "KEY")
"""Types of operations that are not requests of clients: those of nodes, and the ends of the jobs of each key."""


def results_ended(operations: Iterable[Operation]) -> int:
    """Return the number of results that ended at clients, in whatever way: the evidence of a verdict."""
    return sum(one.requests for one in operations if one.name == RESULT and one.type not in NOT_OF_CLIENTS)


def jobs_of(operations: Sequence[Operation], errors: Iterable[ErrorCount]) -> Jobs:
    """Return the outcome of the jobs of `operations`."""
    clients = [operation for operation in operations if operation.type not in NOT_OF_CLIENTS]
    submits, cancels, results = ([one for one in clients if one.name == name] for name in (SUBMIT, CANCEL, RESULT))
    reasons: dict[str, int] = {}
    rejected = 0
    for error in errors:
        if error.type in NOT_OF_CLIENTS:
            continue
        word = error.reason.partition(":")[0]
        if error.name == RESULT:
            reasons[word] = reasons.get(word, 0) + error.count
        elif error.name == SUBMIT and word == "refused":
            rejected += error.count
    return Jobs(
        submitted=sum(operation.requests - operation.failures for operation in submits),
        completed=sum(operation.requests - operation.failures for operation in results),
        failed=reasons.get("failed", 0),
        cancelled=reasons.get("cancelled", 0) + sum(one.requests - one.failures for one in cancels),
        rejected=rejected + reasons.get("refused", 0),
        lost=reasons.get("no_result", 0),
        twice=reasons.get("twice", 0),
        wrong=reasons.get("wrong_result", 0),
    )
