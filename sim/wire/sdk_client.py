"""A client that uses the SDK: it submits, and, after a crash, resumes what its last process has begun."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from voxpool.scheduler.sdk import Client
from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.wire.ledger import Asked

if TYPE_CHECKING:
    from voxpool.sim.wire.world import WireWorld

RESUME_S = 60.0
"""The time after which a resumed client has the results of its last process."""
LOOK_S = 0.5


class ClientProgram:
    """The program of one client process; `main` ends when every request has its result."""

    def __init__(
        self,
        world: WireWorld,
        name: str,
        life: int,
        jobs: int,
        gap_s: Callable[[], float],
        audio_bytes: int,
        in_order: bool,
    ) -> None:
        self._world, self._name, self._life = world, name, life
        self._jobs, self._gap_s, self._audio_bytes, self._in_order = jobs, gap_s, audio_bytes, in_order
        self._random = plain_random(world.seed, f"{name}/audio/{life}")

    async def main(self) -> None:
        """Submit all requests and wait for their results."""
        world, ledger, name, life = self._world, self._world.ledger, self._name, self._life
        mine = ledger.of(name)
        before = [asked for asked in mine if not asked.is_answered]
        brought = [asked for asked in before if world.must_bring(asked)]
        client = world.sdk_clients[name] = Client(
            world.url,
            session_id=f"s-{name}",
            resume=life > 1,
            token=world.tokens.get("client"),
            on_result=lambda result: world.received(result.request_id, life, result),
            in_order=self._in_order,
            random=plain_random(world.seed, f"{name}/{life}"),
        )
        async with client, asyncio.TaskGroup() as group:
            for asked in before:
                if asked not in brought:
                    group.create_task(self._submit(client, asked))
            for number in range(len(mine), self._jobs):
                asked = world.new_request(name, number, self._random, self._audio_bytes, life, self._in_order)
                group.create_task(self._submit(client, asked))
                await asyncio.sleep(self._gap_s())
            if brought:
                await self._receive_brought(client, brought)

    async def _submit(self, client: Client, asked: Asked) -> None:
        try:
            result: Any = await client.submit(asked.audio, self._world.pair, request_id=asked.request_id)
        except Exception as error:
            result = error
        self._world.received(asked.request_id, self._life, result)

    async def _receive_brought(self, client: Client, brought: list[Asked]) -> None:
        """Wait for the results that resume brings; after a new start of the scheduler they are submitted again."""
        world, starts, until_s = self._world, self._world.starts, self._world.env.now + RESUME_S
        while waiting := [asked for asked in brought if not asked.is_answered]:
            await asyncio.sleep(LOOK_S)
            is_lost = world.scheduler_is_away or starts != world.starts
            if not is_lost and world.env.now > until_s and world.scheduler_fault_s < until_s - RESUME_S:
                world.ledger.broken.append(f"{[asked.request_id for asked in waiting]}: resume did not bring them")
            if is_lost or world.env.now > until_s:
                for asked in waiting:
                    if not asked.is_answered:
                        await self._submit(client, asked)
