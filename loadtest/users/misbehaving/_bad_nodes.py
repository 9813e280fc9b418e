"""Misbehaviours of nodes, a function each, on a separate pair; a function returns when the scheduler reacts correctly.

Otherwise it raises Wrong, or an error of the connection. Each job must have exactly one right result, whatever its
node did.
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
"""Time to wait for a second result, which must not come."""
TIMEOUT_MS = 1000
"""Timeout of a job that is long enough for it to reach its node on a busy machine."""


def answers_twice(target: Target) -> None:
    """Answer twice: the second answer is ignored; the client has one result."""
    with _at_work(target) as (node, client, assign):
        node.send(answer(assign))
        node.send(answer(assign))
        refused(node, "not_held")
        completed(expect(client, JobResult))
        silence(client, SILENCE_S, JobResult)


def answers_late(target: Target) -> None:
    """Answer after the job has timed out by its client's timeout; the answer is ignored."""
    with _at_work(target, timeout_ms=TIMEOUT_MS) as (node, client, assign):
        check(expect(client, JobResult).state == "failed", "not_failed")
        node.send(answer(assign))
        refused(node, "not_held")
        silence(client, SILENCE_S, JobResult)


def foreign_job(target: Target) -> None:
    """Answer for another node's job, and for another attempt; the node's job continues."""
    with _at_work(target) as (node, client, assign):
        right = answer(assign)
        node.send(msgspec.structs.replace(right, job_id="nobody-has-this"))
        refused(node, "not_held")
        node.send(msgspec.structs.replace(right, attempt=assign.attempt + 1))
        refused(node, "not_held")
        node.send(right)
        completed(expect(client, JobResult))


def dies_in_mid_job(target: Target) -> None:
    """Close the socket during a job; the job is sent to its next process as another attempt."""
    with _at_work(target) as (node, client, assign):
        node.abort()
        with target.node(_name(target)) as again:
            second = expect(again, Assign)
            check(second.job_id == assign.job_id, "another_job")
            check(second.attempt > assign.attempt, "same_attempt")
            again.send(answer(second))
            completed(expect(client, JobResult))


def says_busy(target: Target) -> None:
    """Answer busy: the node rests, then gets the job again; no redispatch is counted."""
    with _at_work(target) as (node, client, assign):
        node.send(NodeResult(assign.job_id, assign.attempt, busy=True))
        again = expect(node, Assign)
        check(again.job_id == assign.job_id, "another_job")
        node.send(answer(again))
        completed(expect(client, JobResult))


def fails(target: Target) -> None:
    """Answer with a final error: the job fails with the node's text."""
    with _at_work(target) as (node, client, assign):
        node.send(NodeResult(assign.job_id, assign.attempt, error=WorkError("out_of_order")))
        result = expect(client, JobResult)
        check((result.state, result.error) == ("failed", "out_of_order"), f"{result.state}_{result.error}")


def claims_foreign_work(target: Target) -> None:
    """Send a heartbeat with attempts that were not assigned to it: they are cancelled."""
    with target.node(_name(target)) as node:
        node.send(Heartbeat([("nobody-has-this", 1)]))
        check(expect(node, CancelAttempt).job_id == "nobody-has-this", "another_cancel")


def wrong_pair(target: Target) -> None:
    """Register for an invalid pair."""
    _is_turned_away(target, msgspec.structs.replace(target.register(_name(target)), pairs=["no pair"]), "bad_pairs")


def wrong_greeting(target: Target) -> None:
    """Send a heartbeat before the register, or use another protocol."""
    _is_turned_away(target, Heartbeat([]), "register_first")
    _is_turned_away(target, msgspec.structs.replace(target.register(_name(target)), protocol=99), "bad_protocol")


def garbage(target: Target) -> None:
    """Send invalid messages: the node is disconnected."""
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
    """Yield a node with one job of a new client: both connections, and the assign."""
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
