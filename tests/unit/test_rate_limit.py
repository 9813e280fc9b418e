"""Limits of submits: the rate of a caller, the waiting jobs of a pair, no new jobs once the scheduler stops."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.unit.rig import AUDIO, Rig
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.jobs.job import COMPLETED, FAILED
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.errors import Rejected
from voxpool.scheduler.protocol.messages import CancelAttempt
from voxpool.scheduler.security.caller import Caller, Role
from voxpool.scheduler.service.ending import hand_back, store_knows
from voxpool.scheduler.web.gates.origins import Origins
from voxpool.scheduler.web.gates.rate_limit import RateLimit, Rates
from voxpool.scheduler.web.gates.request_filter import RequestFilter
from voxpool.scheduler.web.wire.connections import Connections
from voxpool.scheduler.web.wire.cut_offs import CutOffs

ANN = Caller("ann", Role.CLIENT)


def test_a_burst_then_a_rate_and_the_time_to_retry_is_exact() -> None:
    rates = Rates(burst=3, names_max=10)
    assert [rates.take("ann", 2.0, 100.0) for _ in range(4)] == [0, 0, 0, 500]
    assert rates.take("ann", 2.0, 100.25) == 250
    assert rates.take("ann", 2.0, 100.5) == 0
    assert rates.take("ann", 2.0, 100.5) == 500
    assert [rates.take("ann", 2.0, 200.0) for _ in range(4)] == [0, 0, 0, 500], "what was not used is kept to the burst"


def test_callers_have_separate_rates() -> None:
    rates = Rates(burst=1, names_max=10)
    assert [rates.take(name, 1.0, 0.0) for name in ("ann", "ann", "bob")] == [0, 1000, 0]


def test_over_a_long_time_no_caller_exceeds_its_rate() -> None:
    rates = Rates(burst=5, names_max=10)
    taken = sum(rates.take("ann", 10.0, step / 1000) == 0 for step in range(60_000))
    assert taken == 5 + 10 * 60 - 1


def test_the_number_of_remembered_callers_is_bounded() -> None:
    rates = Rates(burst=1, names_max=3)
    for number in range(1000):
        rates.take(f"caller-{number}", 1.0, 0.0)
    assert len(rates) == 3
    assert rates.take("caller-999", 1.0, 0.0) == 1000


def test_a_new_rate_applies_to_existing_buckets() -> None:
    rates = Rates(burst=2, names_max=10)
    assert [rates.take("ann", 0.01, 0.0) for _ in range(3)] == [0, 0, 100_000]
    assert rates.take("ann", 1.0, 0.0) == 1000
    assert [rates.take("ann", 1.0, 1.0), rates.take("ann", 1.0, 1.0)] == [0, 1000]
    assert rates.take("ann", 0.1, 1.0) == 10_000


async def test_the_rate_of_a_token_overrides_the_setting() -> None:
    rig = Rig()
    rate_limit = RateLimit(Settings(rate_burst=1), rig.core.table, rig.counts, {"d1": 0.001})
    slow = ANN._replace(digest="d1")
    rate_limit.check(slow, "zh:en", "one")
    with pytest.raises(Rejected) as refused:
        rate_limit.check(slow, "zh:en", "two")
    assert refused.value.reason == "rate" and refused.value.retry_after_ms == pytest.approx(1_000_000, abs=1000)
    assert rig.counts.of["rejected:rate"] == 1
    rate_limit.check(ANN, "zh:en", "three")


async def test_repeated_accepted_submits_are_never_limited() -> None:
    """A client whose connection broke repeats all its submits at once."""
    rig = Rig()
    rate_limit = RateLimit(Settings(rate_per_s=0.001, rate_burst=1), rig.core.table, rig.counts, {})
    job = rig.dispatcher.submit(pair="zh:en", audio=AUDIO, request_id="known", owner="ann")
    rate_limit.stopping = True
    for _ in range(100):
        rate_limit.check(ANN, "zh:en", job.request_id)
    with pytest.raises(Rejected, match="the next one") as refused:
        rate_limit.check(ANN._replace(name="bob"), "zh:en", job.request_id)
    assert (refused.value.reason, refused.value.retry_after_ms) == ("stopping", 1000)


async def test_the_waiting_jobs_of_a_pair_are_bounded_and_other_pairs_continue() -> None:
    rig = Rig(settings=Settings(waiting_max=2))
    await rig.submit()
    await rig.submit()
    with pytest.raises(Rejected) as refused:
        await rig.submit()
    assert (refused.value.reason, refused.value.retry_after_ms) == ("waiting_max", 1000)
    assert refused.value.detail.startswith("2 jobs of zh:en wait")
    assert rig.counts.of["rejected:waiting_max"] == 1
    assert rig.core.table.unfinished == 2
    await rig.submit(pair="en:de")
    again = await rig.submit(request_id="request-1")
    assert again.request_id == "request-1", "what was accepted is found, however many wait"


async def test_a_job_returned_by_its_node_is_not_rejected() -> None:
    rig = Rig(settings=Settings(waiting_max=1))
    node, _ = await rig.node("n1")
    first = await rig.submit()
    second = await rig.submit()
    rig.desk.left(node)
    await rig.settle()
    assert (first.state, second.state, rig.core.waiting.total) == ("waiting", "waiting", 2)


async def test_a_job_given_back_is_cancelled_at_its_node_and_freed_in_the_store() -> None:
    rig = Rig()
    node, link = await rig.node("n1", slots=2)
    running = [await rig.submit() for _ in range(2)]
    waiting = [await rig.submit() for _ in range(3)]
    done = running[0]
    await rig.answer(node, done)
    assert done.state == COMPLETED
    assert await hand_back(rig.core) == 4
    await rig.settle()
    for job in (*running[1:], *waiting):
        assert (job.state, job.reason, job.audio) == (FAILED, "stopping", None)
    cancelled = {(message.job_id, message.attempt) for message in link.sent if isinstance(message, CancelAttempt)}
    assert cancelled == {(running[1].job_id, 1), (waiting[0].job_id, 1)}
    census = rig.store.census()
    assert (census["held"], census["reservations"], census["due"]) == (0, 0, 0), census
    assert (rig.core.table.unfinished, rig.core.waiting.total, len(node.reservations)) == (0, 0, 0)
    assert await store_knows(rig.core, 0)


async def test_jobs_with_a_select_in_flight_are_given_back_too() -> None:
    """The job is neither queued nor assigned, and its allocation is released when it arrives."""
    rig = Rig()
    await rig.node("n1")
    job = rig.dispatcher.submit(pair="zh:en", audio=AUDIO, request_id="crossing")
    batch = rig.dispatcher.compose_select()
    assert batch is not None and rig.core.waiting.total == 0
    assert await hand_back(rig.core) == 1
    answers = await rig.store.run([batch[0]])
    batch[1](answers[0])
    await rig.settle()
    census = rig.store.census()
    assert (job.reason, census["held"], census["reservations"]) == ("stopping", 0, 0), census


def test_a_closed_peer_is_informed_once_and_the_memory_of_it_is_bounded() -> None:
    cut_offs = CutOffs(names_max=2)
    cut_offs.remember("ann", "")
    for name in ("ann", "bob", "cid"):
        cut_offs.remember(name, "no_pong")
    assert len(cut_offs) == 2
    assert [cut_offs.take(name) for name in ("ann", "bob", "bob", "cid")] == [None, "no_pong", None, "no_pong"]


@pytest.mark.parametrize(
    ("kind", "path", "served"),
    [
        ("http", "/v1/jobs", False),
        ("http", "/metrics", True),
        ("http", "/healthz", True),
        ("websocket", "/ws/node", False),
    ],
)
async def test_past_the_limit_of_connections_only_health_and_metrics_are_served(
    kind: str, path: str, served: bool
) -> None:
    calls: list[str] = []
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        calls.append(scope["path"])

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    connections = Connections(2, Observer())
    request_filter = RequestFilter(app, connections, 1500, Origins("127.0.0.1"), Observer())
    state = {"connection": connections.accepted("::1:1")}
    asked = [(b"host", b"localhost")]
    scope = {"type": kind, "http_version": "1.1", "path": path, "client": ("::1", 1), "headers": asked}
    known = [connections.accepted(f"::1:{number}") for number in (2, 3)]
    known[0].now_known()
    await request_filter({**scope, "state": state}, receive, send)
    assert calls == [path], "there is room for one more"
    known[1].now_known()
    await request_filter({**scope, "state": {"connection": known[0]}}, receive, send)
    assert calls == [path] * 2, "who is in stays in"
    await request_filter({**scope, "state": state}, receive, send)
    assert (len(calls) == 3) == served
    if not served:
        start, body = sent
        headers = dict(start["headers"])
        assert (start["status"], headers[b"retry-after"], headers[b"connection"]) == (503, b"2", b"close")
        assert msgspec.json.decode(body["body"])["reason"] == "connections_max"
        assert start["type"].startswith("websocket." if kind == "websocket" else "http.")
