"""A request id names one job:

the same id with other audio is a conflict, also when the audio has the same length (R-7).
"""

from __future__ import annotations

import asyncio

import httpx

from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, connected, until
from tests.e2e.test_bad_input_clients import answer, text
from voxpool.scheduler.sdk import Worker

JOBS_IN_REDIS_TOO = True

OTHER_TONE = TONE[:-1] + bytes([TONE[-1] ^ 1])
"""One bit differs."""


async def test_other_audio_of_the_same_length_is_a_conflict_over_http_and_websocket(
    scheduler: Scheduler, pair: str
) -> None:
    name = f"same-{pair.split(':')[0]}"
    key = {"Idempotency-Key": name}
    worker = Worker(scheduler.url, node_id=name, pairs=[pair], work=lambda work: work.audio[-1])
    async with (
        running(worker),
        httpx.AsyncClient(base_url=scheduler.url, trust_env=False) as http,
        connected(scheduler.session_url) as socket,
    ):
        await until(lambda: name in scheduler.node_ids())
        first = (await http.post("/v1/jobs", params={"pair": pair}, headers=key, content=TONE)).json()
        again = (await http.post("/v1/jobs", params={"pair": pair}, headers=key, content=TONE)).json()
        assert again["job_id"] == first["job_id"]
        other = await http.post("/v1/jobs", params={"pair": pair}, headers=key, content=OTHER_TONE)
        assert other.status_code == 409 and other.json()["reason"] == "request_id_conflict", other.text
        await socket.send(text(type="hello"))
        assert (await answer(socket))["type"] == "welcome"
        await socket.send(text(type="submit", request_id=name, pair=pair, audio=OTHER_TONE))
        async with asyncio.timeout(30):
            rejected = await answer(socket)
        assert (rejected["type"], rejected.get("reason")) == ("rejected", "request_id_conflict"), rejected
