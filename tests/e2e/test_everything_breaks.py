"""Break, heal, then check: connections are cut, the store is killed, and each request ends once."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.processes import TONE, Scheduler, cut, until
from tests.e2e.test_processes import started, store_of
from voxpool.scheduler.sdk import Client, Work, Worker

PAIR = "en:en"
NODES, CLIENTS, IN_FLIGHT_EACH = 4, 3, 8
CUTS_OF_NODES, CUTS_OF_CLIENTS, KILLS_OF_THE_STORE = 30, 15, 2
FLAGS = ("--heartbeat-s", "0.5", "--lease-s", "2", "--waiting-timeout-s", "60", "--attempts-max", "20")


class Trouble:
    """Cuts connections at random a number of times; the seed determines the order of events."""

    def __init__(self, scheduler: Scheduler, workers: list[Worker], clients: list[Client]) -> None:
        self.done: Counter[str] = Counter()
        self._scheduler = scheduler
        self._workers = workers
        self._clients = clients
        self._random = random.Random(7)

    async def make(self) -> None:
        """Make failures; the store fails only when it has recovered from the last time."""
        while not (
            self.done["node"] >= CUTS_OF_NODES
            and self.done["client"] >= CUTS_OF_CLIENTS
            and self.done["store"] >= KILLS_OF_THE_STORE
        ):
            await asyncio.sleep(0.03)
            kind = self._random.choices(["node", "client", "store"], [60, 30, 10])[0]
            if kind == "store":
                self._kill_the_store()
            elif kind == "node":
                self._cut(kind, self._random.choice(self._workers))
            else:
                self._cut(kind, self._random.choice(self._clients))

    def _cut(self, kind: str, end: Worker | Client) -> None:
        self.done[kind] += cut(end)

    def _kill_the_store(self) -> None:
        recovered = len(self._scheduler.events("store_recovered")) == self.done["store"]
        if recovered and self.done["store"] < KILLS_OF_THE_STORE:
            os.kill(store_of(self._scheduler), signal.SIGKILL)
            self.done["store"] += 1


@pytest.mark.alone
async def test_each_request_ends_once_under_all_failures(folder: Path) -> None:
    """Two dozen requests are always in progress; at the end nothing is held, nothing waits, no result came twice."""

    async def work(work: Work) -> int:
        await asyncio.sleep(0.02)
        return len(work.audio)

    enough = asyncio.Event()
    answers: Counter[str] = Counter()

    async def ask(client: Client, name: str) -> None:
        number = 0
        while not enough.is_set():
            number += 1
            result = await client.submit(TONE, PAIR, request_id=f"{name}-{number}")
            assert (result.state, result.output) == ("completed", len(TONE)), result
            answers[result.request_id] += 1

    with started(Scheduler(folder, "embedded", *FLAGS)) as scheduler:
        workers = [Worker(scheduler.url, node_id=f"n-{n}", pairs=[PAIR], slots=3, work=work) for n in range(NODES)]
        serving = [asyncio.create_task(worker.run()) for worker in workers]
        clients = [Client(scheduler.url) for _ in range(CLIENTS)]
        async with clients[0], clients[1], clients[2]:
            asking = [
                asyncio.create_task(ask(client, f"c{number}-{lane}"))
                for number, client in enumerate(clients)
                for lane in range(IN_FLIGHT_EACH)
            ]
            trouble = Trouble(scheduler, workers, clients)
            await trouble.make()
            enough.set()
            async with asyncio.timeout(20):
                await asyncio.gather(*asking)
            await until(lambda: len(scheduler.node_ids()) == NODES)
            pools = scheduler.get("/v1/pools")["pools"]
            assert pools == [{"pair": PAIR, "nodes": NODES, "slots": 3 * NODES, "running": 0, "waiting": 0}]
        assert len(answers) > 100 and set(answers.values()) == {1}
        await until(lambda: len(scheduler.events("job_ended")) >= len(answers))
        ended = Counter(event["job_id"] for event in scheduler.events("job_ended"))
        assert len(ended) == len(answers) and set(ended.values()) == {1}
        assert not any(task.done() for task in serving)
        for worker in workers:
            worker.stop()
        await asyncio.gather(*serving)
