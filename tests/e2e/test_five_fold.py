"""Overload at the default settings: accepted jobs are done in time, rejected ones get a time to retry.

Pairs that no node serves accept no jobs, and a job that never started is started anew under its request id.
"""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import running
from tests.e2e.five_fold import CAPACITY_PER_S, FLAGS, GROWTH_BYTES_MAX, HASTY, PUNCTUAL, FiveFold, five_fold
from tests.e2e.processes import TONE, Scheduler, until
from tests.e2e.test_processes import started
from voxpool.scheduler.sdk import Client, SubmitRejected, Worker


async def played(folder: Path, seconds: float) -> FiveFold:
    """Play the overload and check what must hold at any size."""
    with started(Scheduler(folder, "embedded", *FLAGS)) as scheduler:
        report = await five_fold(scheduler, seconds)
        assert scheduler.get("/readyz") == {"status": "ready"}
    print(report)
    assert report.completed_share >= 0.99, report
    assert set(report.first) == {"accepted", "overloaded"} and report.without_retry == 0, report
    assert report.accepted >= 0.8 * CAPACITY_PER_S * seconds, f"more could have been done: {report}"
    assert report.accepted_share(PUNCTUAL) >= 0.75, f"the time that was given is too short: {report}"
    # In a short run the first rejections, whose times are short, weigh more than in five minutes (8.5 %).
    assert report.accepted_share(HASTY) <= 0.6, f"half of it would have been enough: {report}"
    return report


@pytest.mark.alone
@pytest.mark.timeout(180)
async def test_five_fold_overload_for_fifteen_seconds(folder: Path) -> None:
    await played(folder, 15)


@pytest.mark.large
@pytest.mark.timeout(900)
async def test_five_fold_overload_for_five_minutes_with_its_memory(folder: Path) -> None:
    report = await played(folder, 300)
    assert report.growth_bytes < GROWTH_BYTES_MAX, report


async def test_a_pair_without_a_node_is_rejected_after_a_grace_for_restarts(folder: Path) -> None:
    """While a worker restarts its jobs are accepted, and done when it is back; after the grace they are rejected at
    once.
    """

    async def work(_work: object) -> str:
        return "done"

    flags = ("--lease-s", "3", "--heartbeat-s", "1", "--no-node-grace-s", "10")
    with started(Scheduler(folder, "memory", *flags)) as scheduler:
        async with Client(scheduler.url) as client, httpx.AsyncClient(base_url=scheduler.url, trust_env=False) as http:
            async with running(Worker(scheduler.url, node_id="n", pairs=["zh:en"], slots=1, work=work)):
                await until(lambda: scheduler.node_ids() == ["n"])
                assert (await client.submit(TONE, "zh:en")).output == "done"
            await until(lambda: scheduler.node_ids() == [])
            while_away = await client.start(TONE, "zh:en")
            async with running(Worker(scheduler.url, node_id="n", pairs=["zh:en"], slots=1, work=work)):
                assert (await while_away.result()).output == "done"
            await until(lambda: scheduler.node_ids() == [])

            async def refused() -> SubmitRejected | None:
                try:
                    await client.submit(TONE, "zh:en", timeout_ms=500)
                except SubmitRejected as rejected:
                    return rejected
                return None

            rejected = None
            for _ in range(60):  # each of them waits for its timeout during the grace
                rejected = await refused()
                if rejected is not None:
                    break
            assert rejected is not None and rejected.reason == "no_node" and (rejected.retry_after_ms or 0) >= 10_000
            answer = await http.post("/v1/jobs", params={"pair": "zh:en"}, content=TONE)
            assert (answer.status_code, answer.json()["reason"]) == (503, "no_node")
            assert int(answer.headers["retry-after"]) >= 10


async def test_a_job_that_never_started_is_started_by_a_repeated_submit(folder: Path) -> None:
    """The stored failure used to be the answer until retention ended; over HTTP and over a WebSocket."""

    async def work(_work: object) -> str:
        return "done"

    with started(Scheduler(folder, "memory", "--waiting-timeout-s", "0.5")) as scheduler:
        async with Client(scheduler.url) as client, httpx.AsyncClient(base_url=scheduler.url, trust_env=False) as http:
            first = await client.submit(TONE, "zh:en", request_id="by-socket")
            headers, parameters = {"idempotency-key": "by-http"}, {"pair": "zh:en", "wait_s": "20"}
            answer = (await http.post("/v1/jobs", params=parameters, headers=headers, content=TONE)).json()
            assert first.state == answer["state"] == "failed"
            async with running(Worker(scheduler.url, node_id="n", pairs=["zh:en"], slots=1, work=work)):
                await until(lambda: scheduler.node_ids() == ["n"])
                again = await client.submit(TONE, "zh:en", request_id="by-socket")
                assert (again.state, again.output) == ("completed", "done")
                second = (await http.post("/v1/jobs", params=parameters, headers=headers, content=TONE)).json()
                assert (second["state"], second["output"]) == ("completed", "done")
                once_more = await client.submit(TONE, "zh:en", request_id="by-socket")
                assert once_more.job_id == again.job_id, "what was started is done once"
            assert (first.error, first.retryable) == ("no_node", True) and answer["retryable"] is True
