"""A machine with an SDK client: it submits, and, after a crash, resumes what its last process has begun."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from voxpool.scheduler.protocol.messages import JobResult, Partial
from voxpool.scheduler.sdk import Client
from voxpool.scheduler.sdk.options import JobOptions
from voxpool.scheduler.sdk.wire.session import Session
from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.wire.ledger import Asked
from voxpool.sim.wire.peers import Peer

if TYPE_CHECKING:
    from voxpool.sim.wire.world import WireWorld

M = TypeVar("M", JobResult, Partial)

RESUME_S = 60.0
"""The time after which a resumed client has the results of its last process."""
LOOK_S = 0.5
RETRY_S = 600.0
"""How long a client that retries submits again after refusals."""


class WireClient(Peer):
    """A machine with a client program. Requests come by `take`; the program ends after `close`, when all have ended."""

    def __init__(self, world: WireWorld, name: str) -> None:
        super().__init__(world, name)
        self.pending: deque[Asked] = deque()
        self.is_over = False
        self._news = asyncio.Event()

    def take(self, asked: Asked) -> None:
        """Submit `asked`, at once or when the process runs again."""
        self.pending.append(asked)
        self._wake()

    def close(self) -> None:
        """No more requests come."""
        self.is_over = True
        self._wake()

    def start(self) -> None:
        self._news = asyncio.Event()
        super().start()

    def _wake(self) -> None:
        if self.process is not None and self.process.is_alive:
            self._news.set()

    async def next_request(self) -> Asked | None:
        """Return the next request, or None when no more come."""
        while not self.pending:
            if self.is_over:
                return None
            self._news.clear()
            await self._news.wait()
        asked = self.pending.popleft()
        asked.life = self.starts
        return asked

    def unfinished(self) -> list[Asked]:
        """Return the requests of earlier processes without a result."""
        return [asked for asked in self.world.ledger.of(self.name) if asked.life and not asked.is_answered]


class SdkClient(WireClient):
    """A client of the SDK with one session."""

    def __init__(self, world: WireWorld, name: str, in_order: bool, retries: bool) -> None:
        super().__init__(world, name)
        self.client: Client | None = None
        self._in_order, self._retry_s = in_order, RETRY_S if retries else 0.0
        self._crashed_s = 0.0
        self._crash_was_clean = False

    @property
    def unanswered(self) -> int:
        """Requests that the SDK holds."""
        return 0 if self.client is None else len(self.client._session._requests)

    def crash(self) -> None:
        self._crashed_s = self.world.env.now
        self._crash_was_clean = self.world.ledger.well_from_s(self.name) < self._crashed_s
        super().crash()

    def _must_bring(self, asked: Asked) -> bool:
        """Whether the resumed session brings the result of `asked` without a new submit: the scheduler has its job."""
        world = self.world
        absent_s = world.env.now - self._crashed_s
        return (
            self._crash_was_clean
            and absent_s < world.settings.session_grace_s - 1
            and asked.request_id in world.ledger.accepted
        )

    async def main(self) -> None:
        world, life = self.world, self.starts
        before = self.unfinished()
        brought = [asked for asked in before if self._must_bring(asked)]
        client = self.client = Client(
            world.url,
            token=world.tokens.get("client"),
            session_id=f"s-{self.name}",
            resume=life > 1,
            on_result=lambda result: world.received(result.request_id, life, result),
            in_order=self._in_order,
            retry_s=self._retry_s,
            random=plain_random(world.seed, f"{self.name}/{life}"),
        )
        self._observe(client._session)
        async with client, asyncio.TaskGroup() as group:
            for asked in before:
                if asked not in brought:
                    group.create_task(self._submit(client, asked, life))
            if brought:
                group.create_task(self._receive(client, brought, life))
            while (new := await self.next_request()) is not None:
                group.create_task(self._submit(client, new, life))

    def _observe(self, session: Session) -> None:
        """Let the world see results and partial results in the order in which they arrive."""

        def seen(take: Callable[[M], None]) -> Callable[[M], None]:
            def observed(message: M) -> None:
                self.world.session_messages.received(message)
                take(message)

            return observed

        session._result = seen(session._result)  # type: ignore[method-assign, assignment]
        session._partial = seen(session._partial)  # type: ignore[method-assign, assignment]

    async def _submit(self, client: Client, asked: Asked, life: int) -> None:
        options: JobOptions = {
            "timeout_ms": asked.timeout_ms,
            "session_affinity": asked.affinity,
            "priority": asked.priority,
            "key": asked.key,
        }
        try:
            if asked.partials:
                name = asked.request_id
                started = await client.start(asked.audio, asked.pair, request_id=name, partials=True, **options)
                result: Any = await started.result()
            else:
                result = await client.submit(asked.audio, asked.pair, request_id=asked.request_id, **options)
        except Exception as error:
            result = error
        self.world.received(asked.request_id, life, result)

    async def _receive(self, client: Client, brought: list[Asked], life: int) -> None:
        """Wait for the results that resume brings; after a new start of the scheduler they are submitted again."""
        world, starts, until_s = self.world, self.world.starts, self.world.env.now + RESUME_S
        while waiting := [asked for asked in brought if not asked.is_answered]:
            await asyncio.sleep(LOOK_S)
            is_lost = starts != world.starts or world.core.dispatcher.instance != world.instance
            is_lost = is_lost or any(asked.request_id not in world.ledger.accepted for asked in waiting)
            if not is_lost and world.env.now > until_s and world.ledger.well_from_s(self.name) < until_s - RESUME_S:
                world.ledger.broke(f"{[asked.request_id for asked in waiting]}: resume did not bring them")
            if is_lost or world.env.now > until_s:
                async with asyncio.TaskGroup() as group:
                    for asked in waiting:
                        if not asked.is_answered:
                            group.create_task(self._submit(client, asked, life))
