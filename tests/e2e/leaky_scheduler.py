"""A scheduler with planted leaks, for the checkers of closes.py and series.py.

`python -m tests.e2e.leaky_scheduler serve …` is a `voxpool serve` that keeps something of broken connections in each
kind of place, and shows a series for each node. The checkers must find all of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

from prometheus_client import CollectorRegistry, Counter

from voxpool.scheduler.cli import main
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_events import NodeEvents
from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.stores.redis import RedisStore
from voxpool.scheduler.telemetry.metrics.observer import NAMESPACE, MetricsObserver
from voxpool.scheduler.web.sessions.door import SessionDoor
from voxpool.scheduler.web.sessions.session import Session

LEAKED_BYTES = 2000
_sessions: list[Any] = []
_texts: list[str] = []
_tasks: list[asyncio.Task[None]] = []


def leak_in_a_table() -> None:
    """The session endpoint keeps the keys of ended sessions."""
    give_up = SessionDoor._give_up

    def leaky(door: SessionDoor, session: Session) -> None:
        give_up(door, session)
        door.__dict__.setdefault("kept", []).append(session.key)

    patch.object(SessionDoor, "_give_up", leaky).start()


def leak_a_task() -> None:
    """A task that waits for ever remains of each node that leaves."""
    left = NodeEvents.left

    def leaky(desk: NodeEvents, node: Node) -> None:
        left(desk, node)
        _tasks.append(asyncio.create_task(_for_ever()))

    patch.object(NodeEvents, "left", leaky).start()


def leak_an_object_and_bytes() -> None:
    """Sessions and strings are kept where no table of the scheduler shows them."""
    release = Session.release

    def leaky(session: Session) -> list[str]:
        _sessions.append(session)
        _texts.append(f"{len(_texts):0{LEAKED_BYTES}}")
        return release(session)

    patch.object(Session, "release", leaky).start()


def leak_in_the_store() -> None:
    """A key has a member for each flush of scripts."""
    run = RedisStore.run

    async def leaky(store: RedisStore, calls: Sequence[ScriptCall]) -> list[list[str]]:
        await store.client.rpush("vp:{0}:kept", calls[0].name)
        return await run(store, calls)

    patch.object(RedisStore, "run", leaky).start()


def leak_in_labels() -> None:
    """Jobs are counted by node and pair, which is unbounded."""
    dispatches = Counter("dispatches_by_node", "Planted.", ["node", "pair"], namespace=NAMESPACE, registry=None)
    dispatched = MetricsObserver.job_dispatched
    build = MetricsObserver.__init__

    def counting(observer: MetricsObserver, registry: CollectorRegistry, *rest: Any) -> None:
        build(observer, registry, *rest)
        registry.register(dispatches)

    def leaky(observer: MetricsObserver, job: Job, node: Node) -> None:
        dispatched(observer, job, node)
        dispatches.labels(node.node_id, job.pair).inc()

    patch.object(MetricsObserver, "__init__", counting).start()
    patch.object(MetricsObserver, "job_dispatched", leaky).start()


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    leak_in_a_table()
    leak_a_task()
    leak_an_object_and_bytes()
    leak_in_the_store()
    leak_in_labels()
    main()
