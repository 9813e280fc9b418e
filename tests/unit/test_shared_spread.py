"""Which jobs a scheduler sends to others: by the loads that beats bring, without a swing, by none that is too old."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest

from tests.unit.fakes import HandClock
from tests.unit.shared_rig import SharedRig, Stores
from tests.unit.test_shared_dispatcher import LEASE_S, settings
from voxpool.scheduler.core.jobs.job import COMPLETED, DISPATCHED, WAITING
from voxpool.scheduler.protocol.messages import NodeResult
from voxpool.scheduler.shared.spread import MARGIN, Spread

LEASE_MS = 9_000


class Pool:
    """Schedulers whose clients always have the same number of long jobs unfinished: `jobs` and `slots` of each."""

    def __init__(self, jobs: Mapping[str, int], slots: Mapping[str, int]) -> None:
        self.clock = HandClock(1_000_000)
        self.jobs = dict(jobs)
        self.slots = slots
        self.sent: dict[str, list[str]] = {name: [] for name in slots}
        self.loads: dict[str, str] = {}
        self.schedulers = {
            name: Spread(name, self.clock, LEASE_MS, lambda name=name: self._count(name))  # type: ignore[misc]
            for name in slots
        }

    def _count(self, name: str) -> tuple[int, int]:
        return self.jobs[name] - len(self.sent[name]), self.slots[name]

    def beat(self, times: int = 1) -> None:
        """All beat in turns; then some jobs of each have ended, and their clients have sent as many others."""
        for _ in range(times):
            self.clock.ms += LEASE_MS // 3
            for name, spread in self.schedulers.items():
                self.loads[name] = spread.report()
                spread.note(" ".join(f"{one}|{load}" for one, load in self.loads.items()))
            for name, spread in self.schedulers.items():
                for target in self.sent[name][: len(self.sent[name]) // 3 + 1]:
                    self.sent[name].remove(target)
                    spread.ended(target)
                while len(self.sent[name]) < self.jobs[name] and (target := spread.target(self._count(name)[0])):
                    self.sent[name].append(spread.sent(target))

    @property
    def used(self) -> dict[str, int]:
        """Return how many jobs the nodes of each have."""
        here = Counter(target for sent in self.sent.values() for target in sent)
        return {name: self._count(name)[0] + here[name] for name in self.slots}


def test_what_is_above_the_mean_goes_to_the_others_and_nothing_swings() -> None:
    pool = Pool({"a": 30, "b": 0, "c": 0}, {"a": 32, "b": 32, "c": 32})
    pool.beat(15)
    seen = []
    for _ in range(30):
        pool.beat()
        seen.append(pool.used)
    most = 30 / 96 * 32 + MARGIN * 32
    assert all(most - 1 <= used["a"] <= most + 2 for used in seen)
    assert all(abs(used["b"] - used["c"]) <= 1 for used in seen), "the others get equal parts, at each moment"
    assert max(used["a"] for used in seen) - min(used["a"] for used in seen) <= 1


def test_several_senders_fill_nobody_beyond_the_mean() -> None:
    """They all see the same missing loads, and each sends its part of them."""
    pool = Pool(dict.fromkeys("abcd", 28) | {"e": 0, "f": 0}, dict.fromkeys("abcdef", 32))
    for _ in range(40):
        pool.beat()
        assert max(pool.used["e"], pool.used["f"]) <= 4 * 28 / 6 + 1
    assert min(pool.used["e"], pool.used["f"]) >= 12


def test_a_small_node_gets_a_small_part() -> None:
    pool = Pool({"a": 40, "b": 0, "c": 0}, {"a": 48, "b": 4, "c": 48})
    for _ in range(30):
        pool.beat()
        assert pool.used["b"] <= 3
    assert pool.used["b"] > 0 and pool.used["c"] > 12


def test_within_the_margin_all_jobs_stay() -> None:
    pool = Pool({"a": 12, "b": 10, "c": 10}, dict.fromkeys("abc", 32))
    pool.beat(30)
    assert not any(pool.sent.values())


def test_one_alone_and_one_without_nodes_send_nothing() -> None:
    for slots in ({"a": 8}, {"a": 0, "b": 8}):
        pool = Pool({"a": 8 if len(slots) == 1 else 0, "b": 0}, slots)
        pool.beat(10)
        assert not any(pool.sent.values())


def test_the_dead_get_nothing_from_the_next_beat_on() -> None:
    pool = Pool({"a": 30, "b": 0, "c": 0}, dict.fromkeys("abc", 32))
    pool.beat(10)
    assert "b" in pool.sent["a"]
    spread = pool.schedulers["a"]
    spread.note(f"a|{spread.report()} c|{pool.loads['c']}")
    for _ in range(20):
        target = spread.target(pool.used["a"])
        assert target in ("c", "")
        spread.sent(target)


def test_loads_that_are_older_than_a_lease_send_nothing() -> None:
    pool = Pool({"a": 30, "b": 0}, {"a": 32, "b": 32})
    pool.beat(5)
    spread = pool.schedulers["a"]
    for target in pool.sent["a"]:
        spread.ended(target)
    assert spread.target(30) == "b"
    pool.clock.ms += LEASE_MS
    assert spread.target(30) == ""


@pytest.fixture
def stores() -> Stores:
    return Stores()


async def two(stores: Stores) -> tuple[SharedRig, SharedRig]:
    """Start two schedulers with a node each, and let ten jobs run at the one that has all clients."""
    a, b = (stores.scheduler(name, settings()) for name in "ab")
    await a.node("n-a", slots=20)
    await b.node("n-b", slots=20)
    for _ in range(10):
        await a.submit()
    assert not b.dispatcher.node_registry.nodes["n-b"].reservations, "nothing is known of the others yet"
    await stores.pass_time(2 * LEASE_S)
    return a, b


async def test_jobs_are_sent_to_idle_nodes_of_another_scheduler_and_nothing_stays(stores: Stores) -> None:
    a, b = await two(stores)
    jobs = [await a.submit() for _ in range(8)]
    held = b.dispatcher.node_registry.nodes["n-b"].reservations
    assert 3 <= len(held) <= 7, "a part of all 18, as large as that of the 10 which is above the mean and the margin"
    assert {job.job_id for job in jobs} >= set(held)
    for rig, name in ((a, "n-a"), (b, "n-b")):
        node = rig.dispatcher.node_registry.nodes[name]
        for job_id, job in list(node.reservations.items()):
            rig.desk.result(node, NodeResult(job_id, job.attempt, output=1))
    await stores.settle()
    assert all(job.state == COMPLETED for job in jobs)
    await stores.pass_time(10 * LEASE_S)
    for rig in (a, b):
        assert rig.shared.spread.report().startswith("0.00|"), "no job counts as sent, or as one of the nodes here"


async def test_a_job_that_a_dead_scheduler_does_not_take_waits_no_lease(stores: Stores) -> None:
    """Its death shows when its lease ends; the job's own scheduler looks after a second whether it waits."""
    a, b = await two(stores)
    stores.kill(b)
    job = await a.submit()
    assert job.state == WAITING, "it was sent"
    await stores.pass_time(1.5)
    assert job.state == DISPATCHED


async def test_the_load_of_a_dead_scheduler_is_forgotten(stores: Stores) -> None:
    a, b = await two(stores)
    await a.submit()
    assert b.dispatcher.node_registry.nodes["n-b"].reservations
    stores.kill(b)
    await stores.pass_time(2 * LEASE_S)
    assert len(a.dispatcher.node_registry.nodes["n-a"].reservations) == 11, "its job runs again at the other one"
    fields = {field for field, _ in stores.partitions[0].store.dump()["counts"]}
    assert fields == {"all", "@a"}
    assert a.shared.spread.target(11) == ""
