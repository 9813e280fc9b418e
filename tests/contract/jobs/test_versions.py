"""A rolling upgrade: schedulers of two versions on one Redis, of one data model or of two."""

from __future__ import annotations

import pytest

from tests.contract.jobs.schedulers import Client, Worker, scheduler, submit, until
from tests.servers import redis_server
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.stores.cluster import job_stores
from voxpool.scheduler.stores.cluster.job_stores import JobStores


async def test_another_data_version_is_refused_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is compatible joins in the middle; one that is not is refused with both numbers, and changes nothing."""
    client = Client()
    with redis_server() as server:
        async with scheduler(server.url, "old") as old:
            await _agree(server.url)
            submit(old, client, 5)
            await until(lambda: len(client.accepts) == 5)
            monkeypatch.setattr(job_stores, "DATA_VERSION", job_stores.DATA_VERSION + 1)
            with pytest.raises(ConfigError, match="data_version = 3, and this one has data_version = 4: use the same"):
                await _agree(server.url)
            monkeypatch.undo()
            await _agree(server.url)
            async with scheduler(server.url, "new") as new:
                worker = Worker(new)
                submit(old, client, 5, first=5)
                await until(lambda: len(client.ends) == 10)
                assert len(worker.got) == 10


async def _agree(url: str) -> None:
    stores = JobStores(url, 1)
    try:
        await stores.agree()
    finally:
        await stores.close()
