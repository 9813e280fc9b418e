"""The nodes of one scheduler are in its own memory: the scripts of lua/ are run at once, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from voxpool.scheduler.core.script_queue import OnAnswer, ScriptQueue, Selects
from voxpool.scheduler.core.scripts import ScriptCall, heartbeat
from voxpool.scheduler.stores.memory import MemoryStore


class LocalQueue(ScriptQueue):
    """Answers each call before it returns, so that a slot which is free can be reserved at the same moment."""

    def __init__(self, *seams: Any, store: MemoryStore) -> None:
        super().__init__(*seams)
        self._store = store

    def ask(self, call: ScriptCall) -> list[str]:
        """Return the answer to `call`."""
        return self._store.run_now([call])[0]

    def call(self, call: ScriptCall, on_answer: OnAnswer) -> None:
        """Run `call` now."""
        on_answer(self.ask(call))

    def when_answered(self, then: Callable[[], None]) -> None:
        """Call `then`: everything is answered."""
        then()

    def release(self, reservation: str) -> None:
        """Release job|attempt."""
        self.ask(ScriptCall("release_job", [reservation]))

    def heartbeat(self, node_id: str, generation: str, on_word: Callable[[str], None]) -> None:
        """Renew the lease of `node_id`."""
        (word,) = self.ask(heartbeat(self._clock.now_ms(), int(self._lease_ms), [(node_id, generation)]))
        on_word(word)

    async def run_forever(self, selects: Selects) -> None:
        """Nothing is ever queued."""
        await asyncio.get_running_loop().create_future()
