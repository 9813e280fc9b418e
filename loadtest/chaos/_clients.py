"""The clients of a chaos run, in a process of their own: SDK clients that always have jobs in flight.

Run as `python -m voxpool.loadtest.chaos._clients LEDGER SEED PAIRS IN_FLIGHT WORK_S PAUSE_S BYTES URL…`, one client a
URL. After SIGTERM it asks for nothing more, and ends when each request has an answer.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from voxpool.loadtest.chaos._entries import Accepted, Again, Asked, Ended, Refused, Writer, now_s
from voxpool.loadtest.users import _audio
from voxpool.scheduler.errors import VoxpoolError
from voxpool.scheduler.protocol.messages import JobResult
from voxpool.scheduler.sdk import Client
from voxpool.scheduler.sdk.options import JobOptions
from voxpool.scheduler.sdk.wire.session import Session

PING_S = 2.0
"""A connection that hangs must be noticed in a time that is short against the run."""
KEYS = 4
PRIORITIES = 5
PATIENCE_S = 3600.0
"""A client does not give up in a run: what has no answer at the end is lost."""


class Clients:
    """`run` asks until `stop`; then it waits for the answers."""

    def __init__(
        self, ledger: Path, seed: str, pairs: list[str], work_s: float, pause_s: float, audio_bytes: int
    ) -> None:
        self._ledger = Writer(ledger)
        self._random = random.Random(seed)
        self._pairs = pairs
        self._work_s, self._pause_s, self._audio_bytes = work_s, pause_s, audio_bytes
        self._numbers: Iterator[int] = itertools.count(1)
        self._enough = asyncio.Event()

    def stop(self) -> None:
        """Ask for nothing more."""
        self._enough.set()

    async def run(self, urls: list[str], in_flight: int) -> None:
        """Keep `in_flight` jobs in flight with each client."""
        await asyncio.gather(*(self._client(f"client-{number + 1}", url, in_flight) for number, url in enumerate(urls)))

    async def _client(self, name: str, url: str, in_flight: int) -> None:
        client = Client(url, ping_s=PING_S, give_up_s=PATIENCE_S, retry_s=PATIENCE_S)
        self._observe(client._session)
        async with client:
            await asyncio.gather(*(self._lane(name, client) for _ in range(in_flight)))

    def _observe(self, session: Session) -> None:
        """Note each result that comes again as a new one, also where the SDK hides that from its callers."""
        take, seen = session._result, set[str]()

        def observed(result: JobResult) -> None:
            if not session._acks.came_before(result.number):
                if result.request_id in seen:
                    self._again(result)
                seen.add(result.request_id)
            take(result)

        session._result = observed  # type: ignore[method-assign]

    async def _lane(self, name: str, client: Client) -> None:
        chance = self._random
        while not self._enough.is_set():
            pair, work_s = chance.choice(self._pairs), chance.expovariate(1 / self._work_s)
            await self._ask(name, client, next(self._numbers), pair, work_s)
            if self._pause_s:
                await asyncio.sleep(chance.expovariate(1 / self._pause_s))

    async def _ask(self, name: str, client: Client, number: int, pair: str, work_s: float) -> None:
        audio = _audio.make(work_s, number, self._random.randrange(self._audio_bytes // 2, self._audio_bytes))
        self._ledger.write(Asked(number, now_s(), name))
        try:
            turn: JobOptions = {"key": f"user-{number % KEYS}", "priority": 1 + number % PRIORITIES}
            started = await client.start(audio, pair, request_id=f"chaos-{number}", **turn)
            self._ledger.write(Accepted(number, now_s(), started.job_id))
            result = await started.result()
        except VoxpoolError as error:
            self._ledger.write(Refused(number, now_s(), f"{type(error).__name__}: {error}"))
            return
        is_right = _audio.is_answer(result.output, _audio.answer_to(audio, _audio.order_of(audio)))
        self._ledger.write(Ended(number, now_s(), result.job_id, result.state, is_right, result.error or ""))

    def _again(self, result: JobResult) -> None:
        number = int(result.request_id.rpartition("-")[2])
        self._ledger.write(Again(number, now_s(), result.request_id, result.state))


async def main(
    ledger: str, seed: str, pairs: str, in_flight: str, work_s: str, pause_s: str, audio_bytes: str, *urls: str
) -> None:
    """Run the clients until SIGTERM and their last answer."""
    clients = Clients(Path(ledger), seed, pairs.split(","), float(work_s), float(pause_s), int(audio_bytes))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, clients.stop)
    await clients.run(list(urls), int(in_flight))


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(*sys.argv[1:]))
