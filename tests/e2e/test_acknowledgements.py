"""Results are acknowledged by number; unacknowledged results are stored up to a bound (R-5)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, connected
from tests.e2e.test_bad_input_clients import text
from tests.e2e.test_processes import started
from tests.e2e.test_results_in_order import gates_at, has_ended, message
from tests.e2e.test_results_once import closed, reconnected, rest
from tests.servers import BOTH, place_of
from voxpool.scheduler.sdk import Work, Worker

JOBS_IN_REDIS_TOO = True


@pytest.fixture(scope="module", params=BOTH)
def bounded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """A scheduler that keeps few results and has a small send buffer."""
    flags = ("--unacknowledged-max", "8", "--send-buffer-bytes-max", "6000000", "--audio-bytes-max", "1000000")
    with (
        place_of(request.param) as place,
        started(Scheduler(tmp_path_factory.mktemp("bounded"), *place, *flags, patience_s=60)) as scheduler,
    ):
        yield scheduler


async def test_a_session_gets_exactly_its_unacknowledged_results_again(scheduler: Scheduler, pair: str) -> None:
    session_id = f"acks-{pair.split(':')[0]}"
    async with gates_at(scheduler, pair) as gates:
        async with connected(scheduler.session_url) as socket:
            welcome = await reconnected(socket, session_id, acks=True)
            job_ids = []
            for number in range(4):
                await socket.send(text(type="submit", request_id=f"{session_id}-{number}", pair=pair, audio=TONE))
                job_ids.append((await message(socket))["job_id"])
            for number, job_id in enumerate(job_ids, 1):
                gates.open(job_id)
                assert (await message(socket))["number"] == number
            await socket.send(text(type="ack", number=1))
            assert await rest(socket) == []
            socket.transport.abort()
        await closed(scheduler, session_id)
        async with connected(scheduler.session_url) as socket:
            again = await reconnected(socket, session_id, acks=True, generation=welcome["generation"], ack=2)
            assert again["generation"] == welcome["generation"]
            assert [(one["number"], one["job_id"]) for one in await rest(socket)] == [(3, job_ids[2]), (4, job_ids[3])]
            submit = {"type": "submit", "request_id": f"{session_id}-3", "pair": pair, "audio": TONE}
            await socket.send(text(**submit, ack=3))  # 4 is in flight
            assert [one["type"] for one in await rest(socket)] == ["accepted"]
            await socket.send(text(**submit, ack=4))  # it has received 4 and repeats its request
            assert [one.get("number", 0) for one in await rest(socket)] == [0, 5]
            await socket.send(text(type="ack", number=6))
            assert (await message(socket))["reason"] == "bad_ack"


@pytest.mark.parametrize("jobs", BOTH)
async def test_a_failure_that_was_not_received_makes_no_new_job(folder: Path, jobs: str) -> None:
    """A reconnected client repeats its request before it reads: it gets the end of its job, and then asks again."""
    with (
        place_of(jobs) as place,
        started(Scheduler(folder, *place, "--waiting-timeout-s", "0.3", patience_s=60)) as scheduler,
    ):
        async with connected(scheduler.session_url) as socket:
            welcome = await reconnected(socket, "back", acks=True)
            submit = {"type": "submit", "request_id": "once", "pair": "a:b", "audio": TONE}
            await socket.send(text(**submit))
            job_id = (await message(socket))["job_id"]
            failed = await message(socket)
            assert (failed["job_id"], failed["state"], failed["number"]) == (job_id, "failed", 1)
            socket.transport.abort()
        await closed(scheduler, "back")
        async with connected(scheduler.session_url) as socket:
            await reconnected(socket, "back", acks=True, generation=welcome["generation"], ack=0)
            await socket.send(text(**submit))
            assert [(one["type"], one["job_id"]) for one in (await message(socket), await message(socket))] == [
                ("result", job_id),
                ("accepted", job_id),
            ]
            await socket.send(text(**submit, ack=1))
            asked = [await message(socket) for _ in range(2)]
            assert [(one["type"], one.get("number")) for one in asked] == [("accepted", None), ("result", 2)]


async def test_a_client_that_never_acknowledges_is_rejected_past_a_bound(bounded: Scheduler, pair: str) -> None:
    async with gates_at(bounded, pair) as gates, connected(bounded.session_url) as socket:
        await reconnected(socket, "owes", acks=True)

        async def submitted(number: int) -> dict[str, Any]:
            await socket.send(text(type="submit", request_id=f"owes-{number}", pair=pair, audio=TONE))
            return await message(socket)

        for number in range(8):
            gates.open((await submitted(number))["job_id"])
            assert (await message(socket))["type"] == "result"
        refused = await submitted(8)
        assert (refused["type"], refused["reason"]) == ("rejected", "unacknowledged_max")
        assert refused["retry_after_ms"] == 1000
        await socket.send(text(type="ack", number=1))
        assert (await submitted(8))["type"] == "accepted"


async def test_repeated_results_are_sent_in_acknowledged_parts(bounded: Scheduler, pair: str) -> None:
    """Eight results of 1 MB at once would be more than the send buffer of one peer."""
    gate = asyncio.Event()

    async def work(work: Work) -> str:
        await gate.wait()
        return "x" * 1_000_000

    async with running(Worker(bounded.url, node_id="large", pairs=[pair], slots=8, work=work)):
        async with connected(bounded.session_url) as socket:
            await reconnected(socket, "parts", acks=True)
            job_ids = []
            for number in range(8):
                await socket.send(text(type="submit", request_id=f"parts-{number}", pair=pair, audio=TONE))
                job_ids.append((await message(socket))["job_id"])
            socket.transport.abort()
        await closed(bounded, "parts")
        gate.set()
        for job_id in job_ids:
            await has_ended(bounded, job_id)
        async with connected(bounded.session_url, max_size=None) as socket:
            await reconnected(socket, "parts", acks=True)
            assert [one["number"] for one in await rest(socket)] == [1, 2, 3, 4, 5]
            await socket.send(text(type="ack", number=5))
            assert [one["number"] for one in await rest(socket)] == [6, 7, 8]
