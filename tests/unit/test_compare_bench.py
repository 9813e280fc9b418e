"""The delay that `python -m voxpool.loadtest.compare_bench` plants in the dispatch of every job."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from voxpool.loadtest.compare_bench import late_by
from voxpool.scheduler.core.dispatcher import Dispatcher


def test_without_a_delay_the_dispatcher_is_productions() -> None:
    assert late_by(0) is Dispatcher


def test_a_job_waits_for_a_node_after_the_delay_unless_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting: asyncio.Queue[Any] = asyncio.Queue()
    monkeypatch.setattr(Dispatcher, "_wait", lambda self, job: waiting.put_nowait(job))
    late = late_by(0.01)
    dispatcher: Any = late.__new__(late)
    cancelled, job = SimpleNamespace(ended=False), SimpleNamespace(ended=False)

    async def story() -> None:
        dispatcher._wait(cancelled)
        dispatcher._wait(job)
        assert waiting.empty()
        cancelled.ended = True
        assert await waiting.get() is job

    asyncio.run(asyncio.wait_for(story(), 10))
    assert waiting.empty()
