"""The transitions of jobs and nodes: the listed ones happen, every other event raises and changes nothing."""

from __future__ import annotations

from itertools import product

import pytest

from tests.unit.rig import Rig
from voxpool.scheduler.core.jobs import job as jobs
from voxpool.scheduler.core.jobs.job import COMPLETED, FAILED, FINAL_STATES, REMOVED, TRANSITIONS, Job
from voxpool.scheduler.core.nodes.node import FLAGS, GONE, PRESENCE, Node
from voxpool.scheduler.core.seams import ENDED_LINK
from voxpool.scheduler.errors import IllegalTransition

EVENTS_OF_JOBS = sorted({event for events in TRANSITIONS.values() for event in events})
EVENTS_OF_NODES = sorted({event for events in (*PRESENCE.values(), *FLAGS.values()) for event in events})


def job_in(state: str) -> Job:
    """Return a job in `state`."""
    return Job("j", "r", "", "zh:en", 1, 0, b"", 0, state=state)


def node_in(presence: str, flags: str) -> Node:
    """Return a node with that presence and these flags."""
    node = Node("n", "p", ("zh:en",), 1, ENDED_LINK, 0)
    node.presence, node.flags = presence, flags
    return node


@pytest.mark.parametrize(("state", "event"), list(product(TRANSITIONS, EVENTS_OF_JOBS)))
def test_a_job_follows_its_table(state: str, event: str) -> None:
    """Each event leads to the listed state, or raises and does not change the state."""
    job = job_in(state)
    if event in TRANSITIONS[state]:
        job.move(event)
        assert job.state == TRANSITIONS[state][event]
    else:
        with pytest.raises(IllegalTransition, match=event):
            job.move(event)
        assert job.state == state


@pytest.mark.parametrize(("presence", "flags", "event"), list(product(PRESENCE, FLAGS, EVENTS_OF_NODES)))
def test_a_node_follows_its_tables(presence: str, flags: str, event: str) -> None:
    """An event changes presence or flags, never both; no event is allowed after the last state."""
    node = node_in(presence, flags)
    if event in PRESENCE[presence]:
        expected = (PRESENCE[presence][event], flags)
    elif presence != GONE and event in FLAGS[flags]:
        expected = (presence, FLAGS[flags][event])
    else:
        expected = (presence, flags)
        with pytest.raises(IllegalTransition, match=event):
            node.move(event)
        assert (node.presence, node.flags) == expected
        return
    node.move(event)
    assert (node.presence, node.flags) == expected


def test_every_state_can_be_reached_and_left() -> None:
    """No state of a table is dead: each is entered by some event, and all except the final ones are left."""
    assert {then for events in TRANSITIONS.values() for then in events.values()} == set(TRANSITIONS) - {jobs.NEW}
    assert {state for state, events in TRANSITIONS.items() if not events} == {REMOVED}
    assert {"completed", "failed", "cancelled"} == FINAL_STATES
    assert {then for events in FLAGS.values() for then in events.values()} == set(FLAGS)


async def test_a_job_ends_once() -> None:
    """A second end raises and changes neither the first one nor its counts nor its client."""
    rig = Rig()
    await rig.node("n1")
    job = await rig.submit()
    rig.core.dispatcher.end(job, FAILED, reason="attempts_max")
    with pytest.raises(IllegalTransition, match="completed"):
        rig.core.dispatcher.end(job, COMPLETED, output={"text": "late"})
    assert (job.state, job.reason, job.output) == (FAILED, "attempts_max", None)
    assert (rig.core.table.unfinished, rig.core.table.finished) == (0, 1)
    assert rig.sink.ended == [job]
