"""Faults of a node: its process ends or freezes, or it answers wrongly."""

from __future__ import annotations

import random
from functools import partial

from voxpool.scheduler.protocol.messages import Assign, NodeResult, WorkError
from voxpool.sim.faults.kind import FaultKind, Target, divert, restore
from voxpool.sim.world.clients import Request
from voxpool.sim.world.nodes import DOWN, FROZEN, UP, SimNode, Work

SLOWNESS = 10.0
"""Factor on the duration of attempts that a slow node begins."""


def is_whole(node: SimNode) -> bool:
    """True when the node runs and is not leaving."""
    return node.is_whole


def start(node: SimNode, state: object = None) -> None:
    """Start the node, if it is down."""
    if node.state == DOWN:
        node.start()


def thaw(node: SimNode, state: object = None) -> None:
    """Resume the node, if it is frozen."""
    if node.state == FROZEN:
        node.thaw()


# ---- its process


def _crash(node: SimNode, random: random.Random) -> None:
    node.crash()


def _vanish(node: SimNode, random: random.Random) -> None:
    node.vanish()


def _freeze(node: SimNode, random: random.Random) -> None:
    node.freeze()


def _leave(node: SimNode, random: random.Random) -> None:
    node.leave()


def _end_restart(node: SimNode, state: object) -> None:
    """Restart the node: the time to drain is over, so its running attempts are lost."""
    if node.state != DOWN:
        node.crash()
    node.start()


def _start_under_a_new_id(node: SimNode, state: object) -> None:
    if node.state == DOWN:
        node.take_new_id()
        node.start()


def _slow(node: SimNode, random: random.Random) -> float:
    speed = node.speed
    node.speed = speed / SLOWNESS
    return speed


def _as_fast_as_before(node: SimNode, speed: float) -> None:
    node.speed = speed


# ---- its answers


def _answer_twice(node: SimNode, random: random.Random) -> None:
    def twice(result: NodeResult) -> None:
        SimNode.answer(node, result)
        SimNode.answer(node, result)

    divert(node, answer=twice)


def _answer_late(node: SimNode, random: random.Random) -> list[NodeResult]:
    kept: list[NodeResult] = []
    divert(node, answer=kept.append)
    return kept


def _answer_now(node: SimNode, kept: list[NodeResult]) -> None:
    restore(node, "answer")
    if node.state == UP:
        for result in kept:
            node.answer(result)


def _never_answer(node: SimNode, random: random.Random) -> None:
    """Begin attempts that never end: the node reports them as running until it receives a cancel."""

    def forget(work: Work, timer: int) -> None:
        pass

    divert(node, worked=forget)


def _finish_late(node: SimNode, state: object) -> None:
    """Leave the hanging attempts as they are; their jobs end by a timeout or a redispatch."""
    restore(node, "worked")


def _answer_errors(node: SimNode, random: random.Random, reason: str, retryable: bool) -> None:
    def failed(work: Work) -> NodeResult:
        return NodeResult(work.job_id, work.attempt, error=WorkError(reason, retryable))

    divert(node, result_of=failed)


def _fail_at_once(node: SimNode, random: random.Random) -> None:
    def fail(assign: Assign, request: Request) -> None:
        node.answer(NodeResult(assign.job_id, assign.attempt, error=WorkError("broken", retryable=True)))

    divert(node, assigned=fail)


def _be_busy(node: SimNode, random: random.Random) -> None:
    node.busy = True


def _be_free(node: SimNode, state: object = None) -> None:
    node.busy = False


def _restore_answers(node: SimNode, state: object) -> None:
    restore(node, "answer", "result_of", "assigned")


# ---- its registration


def _has_pairs_to_lose(node: SimNode) -> bool:
    return node.is_whole and len(node.pairs) > 1 and node.connection is not None


def _drop_pairs(node: SimNode, random: random.Random) -> list[str]:
    pairs = node.pairs
    node.pairs = [pairs[int(random.random() * len(pairs))]]
    node.register_again()
    return pairs


def _serve_all(node: SimNode, pairs: list[str]) -> None:
    node.pairs = pairs
    node.register_again()


def _is_connected(node: SimNode) -> bool:
    return node.is_whole and node.connection is not None


def _reconnect(node: SimNode, random: random.Random) -> object:
    """Open a new connection before the scheduler sees the old one close."""
    return node.change_connection()


def _close_old(node: SimNode, old: object) -> None:
    if old is not None:
        old.close_late()  # type: ignore[attr-defined]


def node_fault(what: str, begin: object, heal: object, can_strike: object = is_whole) -> FaultKind:
    """Return a kind of fault of a node."""
    return FaultKind(what, Target.NODE, begin, heal, can_strike)  # type: ignore[arg-type]


NODE_FAULTS: dict[str, FaultKind] = {
    "node_crash": node_fault("the process dies and its socket closes; it starts again", _crash, start),
    "node_vanish": node_fault("the machine disappears without closing its socket; it comes back empty", _vanish, start),
    "node_restart": node_fault(
        "it drains for the duration of the fault, closes, and starts again", _leave, _end_restart
    ),
    "node_new_id": node_fault(
        "the process dies and starts again under an id that was never used", _crash, _start_under_a_new_id
    ),
    "node_freeze": node_fault("the process is paused and resumed", _freeze, thaw),
    "node_slow": node_fault(f"attempts that it begins take {SLOWNESS:g} times as long", _slow, _as_fast_as_before),
    "node_answers_twice": node_fault("it sends each answer twice", _answer_twice, _restore_answers),
    "node_answers_late": node_fault(
        "it holds back its answers, even those of cancelled attempts, and sends them when it is healed",
        _answer_late,
        _answer_now,
    ),
    "node_never_answers": node_fault(
        "attempts that it begins never end; it reports them as running", _never_answer, _finish_late
    ),
    "node_errors": node_fault(
        "it answers with a retryable error when the work is done",
        partial(_answer_errors, reason="engine_error", retryable=True),
        _restore_answers,
    ),
    "node_final_errors": node_fault(
        "it answers with an error that is final: the job fails",
        partial(_answer_errors, reason="bad_audio", retryable=False),
        _restore_answers,
    ),
    "node_fails_at_once": node_fault("it fails every job at once", _fail_at_once, _restore_answers),
    "node_busy": node_fault("it answers busy to every job", _be_busy, _be_free),
    "node_fewer_pairs": node_fault(
        "it registers again with one of its pairs, and with all when it is healed",
        _drop_pairs,
        _serve_all,
        _has_pairs_to_lose,
    ),
    "node_reconnects": node_fault(
        "it reconnects while its old connection is still open at the scheduler; the old one closes later",
        _reconnect,
        _close_old,
        _is_connected,
    ),
}


def make_whole(node: SimNode) -> None:
    """Start or resume the node, whichever fault it had."""
    _be_free(node)
    start(node)
    thaw(node)
