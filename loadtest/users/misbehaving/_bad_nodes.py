"""What nodes do wrong, one function a kind, on a pair of their own; each returns when the scheduler bore it in order.

Raises Wrong, or what a connection raises, when the scheduler did not do what it should: above all, each job must have
its one right result whatever its node did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from voxpool.loadtest.users._wire import Closed, Wire
from voxpool.loadtest.users.misbehaving._target import (
    PATIENCE_S,
    Target,
    answer,
    check,
    completed,
    expect,
    refused,
    silence,
)
from voxpool.scheduler.protocol import close_codes
from voxpool.scheduler.protocol.messages import (
    Assign,
    CancelAttempt,
    Heartbeat,
    JobResult,
    NodeResult,
    ToClient,
    ToNode,
    WorkError,
)

SILENCE_S = 0.2
"""How long a second result is listened for."""
TIMEOUT_MS = 1000
"""Time enough for a job to come to its node first, also where others have the CPU."""


def answers_twice(target: Target) -> None:
    """The second answer is not held any more; the client has one result."""
    with _at_work(target) as (node, client, assign):
        node.send(answer(assign))
        node.send(answer(assign))
        refused(node, "not_held")
        completed(expect(client, JobResult))
        silence(client, SILENCE_S, JobResult)


def answers_late(target: Target) -> None:
    """The job had its end, by its client's own bound, before the answer came; that changes nothing."""
    with _at_work(target, timeout_ms=TIMEOUT_MS) as (node, client, assign):
        check(expect(client, JobResult).state == "failed", "not_failed")
        node.send(answer(assign))
        refused(node, "not_held")
        silence(client, SILENCE_S, JobResult)


def foreign_job(target: Target) -> None:
    """Answers for a job that it doesn't hold, and for an attempt that isn't its own; its own job goes on."""
    with _at_work(target) as (node, client, assign):
        right = answer(assign)
        node.send(msgspec.structs.replace(right, job_id="nobody-has-this"))
        refused(node, "not_held")
        node.send(msgspec.structs.replace(right, attempt=assign.attempt + 1))
        refused(node, "not_held")
        node.send(right)
        completed(expect(client, JobResult))


def dies_in_mid_job(target: Target) -> None:
    """Its socket closes under a job; the job comes to its next process, as another attempt."""
    with _at_work(target) as (node, client, assign):
        node.abort()
        with target.node(_name(target)) as again:
            second = expect(again, Assign)
            check(second.job_id == assign.job_id, "another_job")
            check(second.attempt > assign.attempt, "same_attempt")
            again.send(answer(second))
            completed(expect(client, JobResult))


def says_busy(target: Target) -> None:
    """It rests for a moment, then it is asked again; nothing is lost and no redispatch counted."""
    with _at_work(target) as (node, client, assign):
        node.send(NodeResult(assign.job_id, assign.attempt, busy=True))
        again = expect(node, Assign)
        check(again.job_id == assign.job_id, "another_job")
        node.send(answer(again))
        completed(expect(client, JobResult))


def fails(target: Target) -> None:
    """An error that is not to be tried again is the end of the job, in the node's words."""
    with _at_work(target) as (node, client, assign):
        node.send(NodeResult(assign.job_id, assign.attempt, error=WorkError("out_of_order")))
        result = expect(client, JobResult)
        check((result.state, result.error) == ("failed", "out_of_order"), f"{result.state}_{result.error}")


def claims_foreign_work(target: Target) -> None:
    """A beat with attempts that nobody gave it: they are cancelled."""
    with target.node(_name(target)) as node:
        node.send(Heartbeat([("nobody-has-this", 1)]))
        check(expect(node, CancelAttempt).job_id == "nobody-has-this", "another_cancel")


def wrong_pair(target: Target) -> None:
    """Registers for what is no pair."""
    _is_turned_away(target, msgspec.structs.replace(target.register(_name(target)), pairs=["no pair"]), "bad_pairs")


def wrong_greeting(target: Target) -> None:
    """Beats before it has registered, or speaks another protocol."""
    _is_turned_away(target, Heartbeat([]), "register_first")
    _is_turned_away(target, msgspec.structs.replace(target.register(_name(target)), protocol=99), "bad_protocol")


def garbage(target: Target) -> None:
    """A node that speaks no known language can't be trusted with jobs: it is turned away."""
    with target.node(_name(target)) as node:
        node.send_frame(b"{not json", binary=False)
        refused(node, "broken_json")
        _is_closed(node)


KINDS: dict[str, Callable[[Target], None]] = {
    act.__name__: act
    for act in (
        answers_twice,
        answers_late,
        foreign_job,
        dies_in_mid_job,
        says_busy,
        fails,
        claims_foreign_work,
        wrong_pair,
        wrong_greeting,
        garbage,
    )
}


@contextmanager
def _at_work(target: Target, **more: Any) -> Iterator[tuple[Wire[ToNode], Wire[ToClient], Assign]]:
    """A node with one job of a client of its own: both connections, and the assign."""
    with target.node(_name(target)) as node, target.session(binary=True) as client:
        client.send(target.submit(target.own_pair, **more))
        yield node, client, expect(node, Assign)


def _name(target: Target) -> str:
    return f"{target.name}-node"


def _is_turned_away(target: Target, greeting: msgspec.Struct, reason: str) -> None:
    wire = target.node_wire()
    try:
        wire.send(greeting)
        refused(wire, reason)
        _is_closed(wire)
    finally:
        wire.close()


def _is_closed(wire: Wire[ToNode]) -> None:
    try:
        while True:
            wire.receive(PATIENCE_S)
    except Closed as closed:
        check(closed.code == close_codes.POLICY, f"closed_{closed.code}")
