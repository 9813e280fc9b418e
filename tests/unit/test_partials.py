"""Partial results on their way from a node to the sessions that want them: what is passed on, what is dropped."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.rig import Link
from tests.unit.session_rig import PAIR, Place, Socket
from tests.unit.virtual import virtual
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.protocol.messages import Assign, JobResult, NodePartial, Partial
from voxpool.scheduler.web.sessions.session import PARTIALS_BYTES_MAX

BUFFER = 1024**2


class Stage:
    """One scheduler with a node; `first` has the only connection of the session s."""

    def __init__(self, place: Place, node: Node, link: Link, first: Socket) -> None:
        self.place, self.node, self.link, self.first = place, node, link, first

    @classmethod
    async def built(cls) -> Stage:
        place = Place()
        node, link = await place.rig.node("n1", [PAIR], slots=10)
        first = await place.client()
        first.send_buffer_bytes_max = BUFFER
        return cls(place, node, link, first)

    async def asked(self, *names: str, partials: bool = True) -> None:
        """Let the client submit these requests, and their jobs be sent to the node."""
        self.first.submit(*names, partials=partials)
        await self.place.rig.settle()

    def send(self, name: str, n: int, output: object = "so far", attempt: int | None = None) -> None:
        """Let the node send a partial result as its endpoint takes it."""
        job = self.place.job(name)
        partial = NodePartial(job.job_id, attempt or job.attempt, n, output)
        if self.place.rig.desk.wants(self.node, partial):
            self.place.rig.desk.partial(self.node, partial)

    async def end(self, name: str) -> None:
        await self.place.rig.answer(self.node, self.place.job(name), "all")


def received(client: Socket) -> list[tuple[str, int]]:
    """Return request id and number of the partial results that the client got."""
    return [(partial.request_id, partial.n) for partial in client.of_kind(Partial)]


@virtual
async def test_a_partial_reaches_the_client_that_asked_before_the_result() -> None:
    stage = await Stage.built()
    await stage.asked("a")
    assert [assign.partials for assign in stage.link.of_kind(Assign)] == [True]  # type: ignore[union-attr]
    stage.send("a", 0, ["good"])
    stage.send("a", 3, ["good", "morning"])
    await stage.end("a")
    job = stage.place.job("a")
    assert stage.first.of_kind(Partial) == [
        Partial("a", job.job_id, 1, 0, ["good"]),
        Partial("a", job.job_id, 1, 3, ["good", "morning"]),
    ]
    stage.send("a", 4)
    assert received(stage.first) == [("a", 0), ("a", 3)]
    assert [type(message) for message in stage.first.got][-3:] == [Partial, Partial, JobResult]


@virtual
async def test_what_nobody_asked_for_is_dropped() -> None:
    """A job without the wish, another session with the same request, an unknown job, an old attempt, another node."""
    stage = await Stage.built()
    await stage.asked("a", partials=False)
    assert [assign.partials for assign in stage.link.of_kind(Assign)] == [False]  # type: ignore[union-attr]
    stage.send("a", 0)
    await stage.asked("b")
    other = await stage.place.client(session_id="other")
    other.submit("b")
    second, _ = await stage.place.rig.node("n2", [PAIR])
    job_id = stage.place.job("b").job_id
    desk = stage.place.rig.desk
    assert not desk.wants(second, NodePartial(job_id, 1, 0)) and not desk.wants(stage.node, NodePartial("x", 1, 0))
    assert not desk.wants(stage.node, NodePartial(job_id, 2, 0))
    stage.send("b", 0)
    assert (received(stage.first), received(other)) == ([("b", 0)], [])
    unwatched = await stage.place.rig.submit(PAIR)
    assert unwatched.node_id and not stage.place.results.wants_partials(unwatched)


@virtual
async def test_an_old_attempt_sends_nothing_after_a_new_one_has_begun() -> None:
    stage = await Stage.built()
    await stage.asked("a")
    stage.send("a", 0)
    await stage.place.rig.busy(stage.node, stage.place.job("a"))
    stage.send("a", 1, attempt=1)
    second, _ = await stage.place.rig.node("n2", [PAIR])
    await stage.place.rig.settle()
    job = stage.place.job("a")
    assert (job.node_id, job.attempt) == ("n2", 2)
    stage.send("a", 2, attempt=1)
    partial = NodePartial(job.job_id, 2, 0)
    assert stage.place.rig.desk.wants(second, partial)
    stage.place.rig.desk.partial(second, partial)
    assert [(one.attempt, one.n) for one in stage.first.of_kind(Partial)] == [(1, 0), (2, 0)]


@virtual
async def test_nothing_is_kept_for_a_client_that_is_away() -> None:
    """Nor repeated; the session still wants what comes after its return."""
    stage = await Stage.built()
    await stage.asked("a")
    stage.send("a", 0)
    stage.first.leave()
    await asyncio.sleep(0.001)
    stage.send("a", 1)
    again = await stage.place.back(stage.first, ack=0)
    again.send_buffer_bytes_max = BUFFER
    again.submit("a", partials=True)
    stage.send("a", 2)
    assert received(again) == [("a", 2)]


@pytest.mark.parametrize(
    ("unsent", "size", "is_sent"),
    [
        (0, 10, True),
        (PARTIALS_BYTES_MAX, 10, True),
        (PARTIALS_BYTES_MAX + 1, 10, False),
        (0, BUFFER // 2 - 200, True),
        (0, BUFFER // 2, False),
    ],
)
@virtual
async def test_a_partial_is_dropped_while_its_client_is_behind(unsent: int, size: int, is_sent: bool) -> None:
    """It never fills the buffer, past which a client is cut off; a result is sent all the same."""
    stage = await Stage.built()
    await stage.asked("a")
    stage.first.unsent = unsent
    stage.send("a", 0, "x" * size)
    assert received(stage.first) == ([("a", 0)] if is_sent else [])
    await stage.end("a")
    assert len(stage.first.results) == 1


@virtual
async def test_partials_renew_no_lease() -> None:
    stage = await Stage.built()
    await stage.asked("a")
    before = stage.node.seen_ms
    stage.place.rig.clock.ms += 1000
    stage.send("a", 0)
    assert stage.node.seen_ms == before and received(stage.first) == [("a", 0)]


@virtual
async def test_a_session_forgets_its_wishes_with_the_jobs() -> None:
    stage = await Stage.built()
    await stage.asked("a", "b")
    (session,) = stage.place.door._sessions.values()
    assert len(session._partials) == 2
    await stage.end("a")
    stage.place.dispatcher.cancel(stage.place.job("b").job_id)
    assert session._partials == set()
    await stage.asked("a")
    assert session._partials == set(), "the job has ended"
