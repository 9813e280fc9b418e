"""The messages of the scheduler's rejections: each names its bound, and the time to retry."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.fakes import make_job
from tests.unit.rig import Link, Rig
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.jobs.job import COMPLETED
from voxpool.scheduler.core.nodes.node import LEAVE, REGISTERED
from voxpool.scheduler.errors import IllegalTransition, NodeRefused, Rejected
from voxpool.scheduler.protocol.messages import Error, NodeResult, Register

RETRY_MS = 3000


async def refusal(rig: Rig, *accepted: str, request_id: str = "r", audio: bytes = b"0123456789") -> Rejected:
    """Submit requests that are accepted, then one that is not; return its rejection."""
    fields: dict[str, Any] = {"pair": "zh:en", "audio": b"0123456789"}
    for name in accepted:
        rig.dispatcher.submit(request_id=name, **fields)
    with pytest.raises(Rejected) as error:
        rig.dispatcher.submit(request_id=request_id, **{**fields, "audio": audio})
    return error.value


@pytest.mark.parametrize(
    ("settings", "reason", "detail"),
    [
        ({"jobs_max": 2}, "jobs_max", "2 jobs are unfinished, the most allowed"),
        (
            {"audio_bytes_max": 10, "audio_total_bytes_max": 29},
            "audio_total_bytes_max",
            "the audio of all unfinished jobs would exceed 29 bytes",
        ),
        ({"waiting_max": 2}, "waiting_max", "2 jobs of zh:en wait for a node, the most allowed"),
    ],
)
async def test_a_full_table_says_which_bound_is_reached(settings: dict[str, Any], reason: str, detail: str) -> None:
    rig = Rig(settings=Settings(retry_after_s=RETRY_MS / 1000, **settings))
    refused = await refusal(rig, "a", "b")
    assert (refused.reason, refused.detail, refused.retry_after_ms) == (reason, detail, RETRY_MS)


async def test_a_submit_that_can_never_be_accepted_says_why() -> None:
    rig = Rig(settings=Settings(audio_bytes_max=10))
    large = await refusal(rig, audio=b"0123456789!")
    assert (large.reason, large.detail, large.retry_after_ms) == (
        "audio_too_large",
        "at most 10 bytes of audio a job",
        None,
    )
    other = await refusal(rig, "a", request_id="a", audio=b"other")
    assert (other.reason, other.detail, other.retry_after_ms) == (
        "request_id_conflict",
        "request id 'a' was used for another job",
        None,
    )


async def test_a_pair_without_a_node_is_named() -> None:
    rig = Rig(settings=Settings(no_node_grace_s=5.0, retry_after_s=RETRY_MS / 1000))
    rig.clock.ms += 7000
    refused = await refusal(rig)
    assert (refused.reason, refused.detail) == ("no_node", "no node that serves zh:en is connected")
    assert refused.retry_after_ms == 7000


async def test_a_store_that_is_away_is_reported_with_its_time() -> None:
    rig = Rig(settings=Settings(store_refuse_s=1.0, retry_after_s=RETRY_MS / 1000))
    outages = rig.core.queue.outages
    outages.asked(rig.clock.ms)
    outages.failed()
    rig.clock.ms += 4200
    refused = await refusal(rig)
    assert (refused.reason, refused.detail, refused.retry_after_ms) == (
        "store_unavailable",
        "the store has not answered for 4.2 s; jobs that were accepted stay",
        4200,
    )


async def test_a_node_that_is_refused_learns_why() -> None:
    rig = Rig(settings=Settings(nodes_max=2))
    register = Register("n1", "p1", ["zh:en"], 1, [])
    await rig.desk.joined(Link(), register, owner="ann")
    await rig.desk.joined(Link(), Register("n2", "p1", ["zh:en"], 1, []))

    async def refused(node_id: str, process_id: str, owner: str = "") -> tuple[str, str]:
        with pytest.raises(NodeRefused) as error:
            await rig.desk.joined(Link(), Register(node_id, process_id, ["zh:en"], 1, []), owner=owner)
        return error.value.reason, error.value.detail

    assert await refused("n1", "p1", "bob") == ("name_taken", "'n1' is the node of another token; rename one")
    assert await refused("n1", "p2", "ann") == ("name_taken", "another process is connected as 'n1'; rename one")
    assert await refused("n3", "p1") == ("nodes_max", "2 nodes are connected, the most allowed")


async def test_an_answer_for_an_attempt_that_is_not_held_is_named() -> None:
    rig = Rig()
    node, link = await rig.node("n1")
    rig.desk.result(node, NodeResult("j-7", 3, output=1))
    assert link.of_kind(Error) == [Error("not_held", "n1 doesn't hold j-7 attempt 3")]


async def test_an_impossible_transition_is_named() -> None:
    rig = Rig()
    node, _ = await rig.node("n1")
    assert repr(node) == f"<node n1 {node.generation} 0/1 connected>"
    node.move(LEAVE)
    with pytest.raises(IllegalTransition) as error:
        node.move(REGISTERED)
    assert str(error.value) == f"{REGISTERED} is impossible for <node n1 {node.generation} 0/1 gone>"
    job = make_job(1)
    with pytest.raises(IllegalTransition) as error:
        job.move(COMPLETED)
    assert str(error.value) == f"{job!r} can't be {COMPLETED}"
