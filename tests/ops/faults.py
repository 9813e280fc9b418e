"""A real fault for each alert, and how it heals: processes that are killed, nodes that fail, a full Redis.

A fault is a context manager: inside, the scheduler is broken until the yielded function is called. Faults of other
schedulers, or of other pairs, don't disturb each other, so all of them are played at the same time.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import redis

from tests.e2e.processes import Process, cut
from tests.ops.monitoring import SCRAPE_MS
from tests.ops.patients import Patient, again_and_again, frozen, node, node_process, takes, traffic
from voxpool.scheduler.sdk import Work, Worker, WorkFailed

SEEN_S = 4 * SCRAPE_MS / 1000
"""The time after which a new scheduler has been scraped."""


Heal = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """Causes `alerts`. `broke` says how, `healed` what ends it; `pair` is the value of their label."""

    alerts: tuple[str, ...]
    patient: str
    broke: str
    healed: str
    play: Callable[[Patient], AbstractAsyncContextManager[Heal]]
    pair: str = ""


@asynccontextmanager
async def dead(patient: Patient) -> AsyncIterator[Heal]:
    patient.kill()
    yield patient.again


@asynccontextmanager
async def dies_again_and_again(patient: Patient) -> AsyncIterator[Heal]:
    async def die() -> None:
        await asyncio.sleep(SEEN_S)
        patient.kill()
        await patient.again()

    async with again_and_again(die) as stop:
        yield stop


@asynccontextmanager
async def nodes_killed(patient: Patient) -> AsyncIterator[Heal]:
    names, pair = ("a", "b"), "gone:en"
    nodes: list[Process] = []

    async def start() -> None:
        nodes[:] = [await node_process(patient, name, pair) for name in names]

    async with traffic(patient, pair, 5):
        await start()
        for process in nodes:
            process.signal(signal.SIGKILL)
            process.end()
        yield start


@asynccontextmanager
async def pool_too_small(patient: Patient) -> AsyncIterator[Heal]:
    pair = "slow:en"
    async with AsyncExitStack() as stack:

        async def more() -> None:
            await stack.enter_async_context(node(patient, pair, takes(0.1), slots=20, name="more"))

        await stack.enter_async_context(node(patient, pair, takes(0.1), slots=1))
        async with traffic(patient, pair, 20):
            yield more


@asynccontextmanager
async def band_starved(patient: Patient) -> AsyncIterator[Heal]:
    """More jobs of the first priority than the slots can do, beside a few of the last."""
    pair = "bands:en"
    async with (
        node(patient, pair, takes(0.1), slots=1),
        traffic(patient, pair, 3, priority=5),
        AsyncExitStack() as stack,
    ):
        await stack.enter_async_context(traffic(patient, pair, 20, priority=1))
        yield stack.aclose


@asynccontextmanager
async def engine_broken(patient: Patient) -> AsyncIterator[Heal]:
    pair, broken = "wrong:en", True

    async def work(work: Work) -> str:
        if broken:
            raise WorkFailed("model_missing")
        return "done"

    async def mend() -> None:
        nonlocal broken
        broken = False

    async with node(patient, pair, work), traffic(patient, pair, 10):
        yield mend


@asynccontextmanager
async def connections_break(patient: Patient) -> AsyncIterator[Heal]:
    pair = "flap:en"
    async with (
        node(patient, pair, takes(0.2), name="left") as left,
        node(patient, pair, takes(0.2), name="right") as right,
        traffic(patient, pair, 20),
    ):

        async def cut_both() -> None:
            for worker in (left, right):
                await asyncio.sleep(0.3)
                cut(worker)

        async with again_and_again(cut_both) as stop:
            yield stop


@asynccontextmanager
async def node_too_slow(patient: Patient) -> AsyncIterator[Heal]:
    """It answers after its jobs were given up, and ignores cancellation."""
    pair, work_s = "late:en", 1.0

    class Deaf(Worker):
        def _cancel(self, attempt: tuple[str, int]) -> None:
            pass

    async def work(work: Work) -> str:
        await asyncio.sleep(work_s)
        return "done"

    async def quicker() -> None:
        nonlocal work_s
        work_s = 0.02

    async with node(patient, pair, work, slots=20, kind=Deaf), traffic(patient, pair, 10):
        yield quicker


@asynccontextmanager
async def too_many_submits(patient: Patient) -> AsyncIterator[Heal]:
    pair = "full:en"
    async with node(patient, pair, takes(0.2), slots=2), AsyncExitStack() as stack:
        await stack.enter_async_context(traffic(patient, pair, 40))
        yield stack.aclose


@asynccontextmanager
async def redis_dead(patient: Patient) -> AsyncIterator[Heal]:
    server = patient.redis
    assert server is not None
    async with node(patient, "store:en", takes(0.02)), traffic(patient, "store:en", 5):
        server.kill()
        yield lambda: asyncio.to_thread(server.start)


@asynccontextmanager
async def redis_full(patient: Patient) -> AsyncIterator[Heal]:
    assert patient.redis is not None
    with redis.Redis.from_url(patient.redis.url) as client:

        async def set_memory(most_bytes: int) -> None:
            client.config_set("maxmemory", most_bytes)

        async with node(patient, "full:en", takes(0.02)), traffic(patient, "full:en", 5):
            await set_memory(1)
            yield lambda: set_memory(0)


@asynccontextmanager
async def silent_for_longer_than_its_lease(patient: Patient) -> AsyncIterator[Heal]:
    # Mostly awake: while it seems down, VoxpoolDown silences what else is said about it.
    async with again_and_again(lambda: frozen(patient.scheduler, for_s=1.3, then_s=5.0)) as stop:
        yield stop


@asynccontextmanager
async def neighbour_dies(patient: Patient) -> AsyncIterator[Heal]:
    """Another scheduler on the same Redis is killed while its node has work."""
    pair, has_work = "taken:en", asyncio.Event()

    async def work(work: Work) -> None:
        has_work.set()
        await asyncio.Event().wait()

    other = Patient(patient.folder, f"{patient.name}-neighbour", patient.flags, patient.redis)
    try:
        await asyncio.to_thread(other.start)
        async with node(other, pair, work), traffic(other, pair, 5):
            await has_work.wait()
            other.kill()
            yield other.again
    finally:
        other.end_all()


@asynccontextmanager
async def cleanup_off(patient: Patient) -> AsyncIterator[Heal]:
    async def restart(*flags: str) -> None:
        patient.kill()
        await patient.again(*flags)

    await restart("--cleanup-interval-s", "0")
    async with node(patient, "kept:en", takes(0.01)), traffic(patient, "kept:en", 40):
        yield restart


@asynccontextmanager
async def stands_still(patient: Patient) -> AsyncIterator[Heal]:
    # At any time of the stop, a timer of 0.25 s is late by more than the 0.25 s of the rule.
    async with again_and_again(lambda: frozen(patient.scheduler, for_s=0.5, then_s=0.4)) as stop:
        yield stop


@asynccontextmanager
async def nothing(patient: Patient) -> AsyncIterator[None]:
    """A healthy scheduler with a little traffic."""
    async with node(patient, "well:en", takes(0.02)), traffic(patient, "well:en", 10):
        yield


FAULTS = (
    Fault(("VoxpoolDown",), "dead", "the scheduler is killed", "started again", dead),
    Fault(
        ("VoxpoolRestarts",),
        "restarted",
        "it is killed and started, again and again",
        "left alone",
        dies_again_and_again,
    ),
    Fault(
        ("VoxpoolPoolWithoutNodes",),
        "pools",
        "both nodes of a pair are killed",
        "started again",
        nodes_killed,
        "gone:en",
    ),
    Fault(
        ("VoxpoolTooFewNodes", "VoxpoolWaitingGrows", "VoxpoolWaitP99"),
        "pools",
        "twice as many jobs as the one slot of a pair can do",
        "20 slots more",
        pool_too_small,
        "slow:en",
    ),
    Fault(
        ("VoxpoolBandStarves",),
        "bands",
        "twice as many jobs of priority 1 as the one slot can do, beside some of priority 5",
        "the traffic of priority 1 ends",
        band_starved,
    ),
    Fault(("VoxpoolJobsFail",), "pools", "an engine fails each job", "it works again", engine_broken, "wrong:en"),
    Fault(
        ("VoxpoolRedispatchStorm",),
        "flapping",
        "connections of nodes are cut, three a second",
        "left alone",
        connections_break,
    ),
    Fault(
        ("VoxpoolLateResults",),
        "late",
        "a node takes longer than dispatch_timeout_s and hears no cancel",
        "it is quick",
        node_too_slow,
    ),
    Fault(("VoxpoolSubmitsRefused",), "full", "more submits than jobs_max", "the traffic ends", too_many_submits),
    Fault(("VoxpoolStoreDown",), "store", "Redis is killed", "started again, empty", redis_dead),
    Fault(
        ("VoxpoolPartitionsFailing",),
        "partitions",
        "the Redis that has the jobs is killed",
        "started again, empty",
        redis_dead,
    ),
    Fault(
        ("VoxpoolSchedulerLapsed",),
        "lapsed",
        "a scheduler gets SIGSTOP for longer than scheduler_lease_s, again and again",
        "left alone",
        silent_for_longer_than_its_lease,
    ),
    Fault(
        ("VoxpoolJobsAdopted",),
        "heir",
        "another scheduler on its Redis is killed while its node has work",
        "started again",
        neighbour_dies,
    ),
    Fault(("VoxpoolScriptErrors",), "out-of-memory", "Redis is at its maxmemory", "maxmemory is raised", redis_full),
    Fault(
        ("VoxpoolCleanupNotRunning", "VoxpoolResidentJobsAboveBound"),
        "kept",
        "cleanup_interval_s = 0, with traffic",
        "started again with 0.5",
        cleanup_off,
    ),
    Fault(
        ("VoxpoolLoopLag",),
        "stopped",
        "the scheduler gets SIGSTOP for 0.5 s, again and again",
        "left alone",
        stands_still,
    ),
)
