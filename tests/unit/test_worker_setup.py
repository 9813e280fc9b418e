"""The setup of a worker: a node is in the fleet when its model is loaded, and ends when that fails."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from tests.unit.played_scheduler import PlayedScheduler, registered, settle
from tests.unit.played_worker import working
from tests.unit.virtual import virtual
from voxpool.scheduler.sdk import SetupFailed, Work, Worker, worker


async def work(work: Work) -> Any:
    return work.job_id


@virtual
async def test_the_node_registers_after_its_setup(scheduler: PlayedScheduler) -> None:
    events: list[str] = []

    async def setup() -> None:
        await asyncio.sleep(40)

    async with working(work, events=events, setup=setup):
        await asyncio.sleep(39)
        assert scheduler.tries == [] and events == ["setting up"]
        first = await scheduler.connected(1)
        first.say(registered())
        await settle()
        assert events == ["setting up", "set up in 40.0 s", "registered as n for zh:en, 2 slots"]


@virtual
async def test_a_setup_that_raises_ends_the_node(scheduler: PlayedScheduler) -> None:
    events: list[str] = []

    async def setup() -> None:
        raise RuntimeError("no GPU\nhere")

    async with working(work, events=events, setup=setup) as (_, task):
        await asyncio.wait([task])
        with pytest.raises(SetupFailed, match=r"^the setup raised RuntimeError: no GPU here$"):
            task.result()
        assert scheduler.tries == [] and "Traceback" in events[-1]


@virtual
async def test_a_stop_ends_a_node_in_its_setup(scheduler: PlayedScheduler) -> None:
    async def setup() -> None:
        await asyncio.sleep(1000)

    async with working(work, setup=setup) as (node, task):
        await settle()
        node.stop()
        await asyncio.wait([task], timeout=10)
        assert task.done() and scheduler.tries == []


def test_an_app_whose_setup_fails_ends_with_an_exit_code_and_one_line_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def load() -> None:
        raise ValueError("no such model")

    app = worker.batch(pairs=["zh:en"], setup=load)(lambda works: works)
    with pytest.raises(SystemExit) as ended:
        app.main(["--url", "http://127.0.0.1:1"])
    assert ended.value.code == 1
    assert capsys.readouterr().err.splitlines()[-1] == "the setup raised ValueError: no such model"


def test_the_setup_of_an_app_is_its_nodes_unless_another_one_is_given() -> None:
    def load() -> None:
        """Load nothing."""

    def other() -> None:
        """Load nothing."""

    app = worker(pairs=["zh:en"], setup=load)(work)
    assert app.node("ws://127.0.0.1:1")._setup is load
    assert Worker("ws://127.0.0.1:1", node_id="n", pairs=["zh:en"], work=app)._setup is load
    assert Worker("ws://127.0.0.1:1", node_id="n", pairs=["zh:en"], work=app, setup=other)._setup is other


def test_a_worker_draws_from_what_it_was_given_or_from_the_system() -> None:
    given = random.Random(1)
    assert Worker("ws://127.0.0.1:1", node_id="n", pairs=["zh:en"], work=work, random=given)._random is given
    assert Worker("ws://127.0.0.1:1", node_id="n", pairs=["zh:en"], work=work)._random.random() < 1
