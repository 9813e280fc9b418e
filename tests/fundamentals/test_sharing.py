"""A pool that is shared by priority and by turns of keys: the setting order = "fair"."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, until
from tests.fundamentals.test_tokens import made
from tests.servers import BOTH, place_of
from voxpool import Client, HttpClient, RequestRefused, SubmitRejected, Work, Worker

PAIR = "zh:en"
JOBS_MAX = 20


class Shared:
    """A scheduler in the order `fair`, and one node with one slot that works when the test lets it."""

    def __init__(self, scheduler: Scheduler, tokens: dict[str, str]) -> None:
        self.scheduler = scheduler
        self.tokens = tokens
        self.started: list[str] = []
        """Request ids in the order of their starts."""
        self._gate = asyncio.Event()

    def client(self, name: str) -> Client:
        """Return a client with the token of that name."""
        return Client(self.scheduler.url, token=self.tokens[name])

    def node(self) -> Worker:
        """Return the node."""
        return Worker(
            self.scheduler.url, token=self.tokens["gpu"], node_id="gpu-1", pairs=[PAIR], slots=1, work=self._work
        )

    def begin(self) -> None:
        """Let the node work."""
        self._gate.set()

    async def _work(self, work: Work) -> str:
        self.started.append(str(len(work.audio)))
        await self._gate.wait()
        return "done"


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    file = tmp_path_factory.mktemp("sharing") / "tokens.toml"
    made_of = {
        "loud": made("loud", "client", file),
        "sparse": made("sparse", "client", file),
        "gateway": made("gateway", "client", file, "--keys"),
        "batch": made("batch", "client", file, "--priority-min", "5"),
        "gpu": made("gpu", "node", file),
    }
    return file, made_of


@pytest.fixture(params=BOTH)
def scheduler(
    request: pytest.FixtureRequest, tokens: tuple[Path, dict[str, str]], tmp_path: Path
) -> Iterator[Scheduler]:
    flags = (
        "--order",
        "fair",
        "--jobs-max",
        str(JOBS_MAX),
        "--waiting-max",
        str(JOBS_MAX),
        "--access-file",
        str(tokens[0]),
        "--waiting-timeout-s",
        "60",
    )
    with place_of(request.param) as place:
        running = Scheduler(tmp_path, *place, *flags, patience_s=60)
        yield running
        assert running.stop() == 0
        assert running.events("scheduler_failed") == []


@pytest.fixture
async def shared(scheduler: Scheduler, tokens: tuple[Path, dict[str, str]]) -> AsyncIterator[Shared]:
    shared = Shared(scheduler, tokens[1])
    async with running(shared.node()):
        yield shared


def audio(number: int) -> bytes:
    """Return audio by whose length the node recognises the job."""
    return TONE + bytes(2 * number)


def numbers(shared: Shared) -> list[int]:
    """Return the numbers of the jobs in the order of their starts."""
    return [(int(size) - len(TONE)) // 2 for size in shared.started]


async def test_a_sparse_client_is_next_beside_a_flood(shared: Shared) -> None:
    async with shared.client("loud") as loud, shared.client("sparse") as sparse:
        flood = [await loud.start(audio(number), PAIR) for number in range(6)]
        await until(lambda: shared.started)
        lone = await sparse.start(audio(100), PAIR)
        shared.begin()
        await asyncio.gather(*(job.result() for job in (*flood, lone)))
    assert numbers(shared).index(100) <= 2, "at most one further job of the other key starts before it"


async def test_a_higher_priority_comes_first(shared: Shared) -> None:
    async with shared.client("batch") as batch, shared.client("sparse") as live:
        low = [await batch.start(audio(number), PAIR) for number in range(4)]
        await until(lambda: shared.started)
        high = [await live.start(audio(number), PAIR, priority=1) for number in (101, 102)]
        shared.begin()
        await asyncio.gather(*(job.result() for job in (*low, *high)))
        with pytest.raises(SubmitRejected, match="bad_priority"):
            await batch.submit(TONE, PAIR, priority=4)
    assert numbers(shared)[1:3] == [101, 102]


async def test_users_of_a_gateway_take_turns(shared: Shared) -> None:
    async with shared.client("gateway") as gateway, shared.client("loud") as loud:
        jobs = [await gateway.start(audio(number), PAIR, key="ann") for number in range(4)]
        await until(lambda: shared.started)
        jobs.append(await gateway.start(audio(100), PAIR, key="bob"))
        shared.begin()
        await asyncio.gather(*(job.result() for job in jobs))
        with pytest.raises(SubmitRejected, match="bad_key"):
            await loud.submit(TONE, PAIR, key="ann")
    assert numbers(shared).index(100) <= 2


async def test_a_client_that_takes_much_leaves_room_for_others(shared: Shared) -> None:
    """The door goes by the same parts: the flood is refused at half of the bound, the sparse client is not."""
    flood = 0
    with HttpClient(shared.scheduler.url, token=shared.tokens["loud"]) as loud:
        with pytest.raises(SubmitRejected, match="share") as refused:
            while flood < JOBS_MAX:
                await asyncio.to_thread(loud.submit, audio(flood), PAIR)
                flood += 1
        assert refused.value.retryable and flood - JOBS_MAX // 2 in (0, 1), "in Redis only those that wait are counted"
        with HttpClient(shared.scheduler.url, token=shared.tokens["sparse"]) as sparse:
            await asyncio.to_thread(sparse.submit, audio(100), PAIR, priority=2)
            with pytest.raises(RequestRefused, match="priority"):
                await asyncio.to_thread(sparse.submit, TONE, PAIR, priority=6)
    shared.begin()
    await until(lambda: len(shared.started) == flood + 1)
