"""The processors of the modelled machines, and the partitions of the store on them: lua/jobs/ with its costs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.errors import StoreUnavailable
from voxpool.sim.instances.costs import SharedCosts
from voxpool.sim.instances.store import PartitionStore
from voxpool.sim.virtual_time.loop import VirtualLoop

NETWORK_S = 50e-6
"""One way between two machines of a data centre."""
TIMEOUT_S = 0.5
"""After which a call to a server that can't be reached fails."""
JOB_ARGUMENTS = {"submit": (8, 7), "finish": (2, 4)}
"""Script -> arguments before the first job, and of each job."""
AUDIO_COMMANDS = ("SET", "MGET", "UNLINK")
"""Commands of a flush that are no scripts. What UNLINK costs is in the measured cost of SET."""
WAY_ELSEWHERE = ("take", "mail")
"""The scripts that a job needs beside submit and finish when its node is at another scheduler."""
TAKEN_FIELDS = 2
WEIGHT_OF_TAKE = 0.6
"""The part of the cost of a job elsewhere that is take's; the rest is that of mail."""


class Processor:
    """One core: what is to be done waits for its turn."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._free_at_s = 0.0
        self.busy_s = 0.0

    def spend(self, seconds: float) -> float:
        """Take the next turn of `seconds`; return when it is over, from now."""
        now_s: float = self._loop.env.now
        self._free_at_s = max(self._free_at_s, now_s) + seconds
        self.busy_s += seconds
        return self._free_at_s - now_s

    async def turn(self, seconds: float) -> None:
        """Return when such a turn is over."""
        await asyncio.sleep(self.spend(seconds))

    def stand_still(self, seconds: float) -> None:
        """Do nothing for `seconds`."""
        self.spend(seconds)
        self.busy_s -= seconds


class Shard(Processor):
    """A server of Redis with the measured costs of `costs`: each audio costs what one of 10 kB does."""

    def __init__(self, loop: VirtualLoop, costs: SharedCosts) -> None:
        super().__init__(loop)
        call_us = costs.call_us
        self._call_s = call_us / 1e6
        more_us = (costs.elsewhere_us["1"] - costs.elsewhere_us["256"]) / 2 - call_us
        self._way_s = dict.fromkeys(WAY_ELSEWHERE, max(call_us, more_us) / 1e6)
        own_s, elsewhere_s = costs.own_us["256"] / 1e6, costs.elsewhere_us["256"] / 1e6
        more_s = max(0.0, elsewhere_s - own_s)
        self._job_s = {
            "submit": own_s / 2,
            "finish": own_s / 2,
            "take": more_s * WEIGHT_OF_TAKE,
            "mail": more_s * (1 - WEIGHT_OF_TAKE),
            "SET": costs.audio_own_us / 1e6,
            "MGET": max(0.0, costs.audio_elsewhere_us - costs.audio_own_us) / 1e6,
        }

    def cost_s(self, calls: Sequence[ScriptCall], answers: Sequence[Sequence[Any]]) -> float:
        """Return the processor time of a flush: a constant for each script, and at least one; a part for each job."""
        scripts = [self._way_s.get(call.name, self._call_s) for call in calls if call.name not in AUDIO_COMMANDS]
        jobs = [
            self._job_s.get(call.name, 0.0) * _jobs_of(call, answer)
            for call, answer in zip(calls, answers, strict=True)
        ]
        return max(sum(scripts), self._call_s) + sum(jobs)


def _jobs_of(call: ScriptCall, answer: Sequence[Any]) -> float:
    if call.name in AUDIO_COMMANDS:
        return 1.0 if call.name == "SET" else len(answer)
    if call.name == "take":
        return len(answer) / TAKEN_FIELDS
    if call.name == "mail":
        return max(0, len(answer) - 1)
    before, each = JOB_ARGUMENTS.get(call.name, (0, 0))
    return (len(call.args) - before) / each if each else 0.0


class Link:
    """The connection of one scheduler to all servers: it may be cut, and answers may be lost on it."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.is_cut = False
        self.lost_share = 0.0
        self.block_s = 0.0
        """The time of the blocking reads that calls share the connection with (defect R18); 0 = they have their own."""

    def loses(self) -> bool:
        """Draw whether an answer is lost."""
        return self.lost_share > 0 and self._chance.random() < self.lost_share


class PartitionRunner:
    """What a scheduler has of a partition, in place of the store client's."""

    def __init__(self, store: PartitionStore, shard: Shard, processor: Processor, link: Link) -> None:
        self._store = store
        self._shard = shard
        self._processor = processor
        self._link = link
        self.on_move: Callable[[str], None] = lambda _url: None
        self.on_hints: Callable[[], None] = lambda: None

    @property
    def restarts(self) -> int:
        """How often the store has lost writes."""
        return self._store.restarts

    async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Run `calls` in order, in one round trip. Raises StoreUnavailable."""
        await self._processor.turn(0.0)
        if self._link.block_s:
            now_s = asyncio.get_running_loop().time()
            await asyncio.sleep(self._link.block_s - now_s % self._link.block_s)
        await asyncio.sleep(NETWORK_S)
        if self._link.is_cut:
            await asyncio.sleep(TIMEOUT_S)
            raise StoreUnavailable("the server can't be reached")
        answers = [self._store.run(call) for call in calls]
        await self._shard.turn(self._shard.cost_s(calls, answers))
        self.on_hints()
        if self._link.loses():
            raise StoreUnavailable("the connection broke")
        await asyncio.sleep(NETWORK_S)
        return answers


class Subscription:
    """The hints of a partition for one scheduler, in place of the store client's."""

    def __init__(self, on_subscribed: Callable[[], None], on_hint: Callable[[str], None]) -> None:
        self._on_subscribed = on_subscribed
        self.on_hint = on_hint

    def again(self) -> None:
        """The subscription broke, and began again."""
        self._on_subscribed()

    async def run_forever(self) -> None:
        """Listen until cancelled; hints arrive by on_hint."""
        self._on_subscribed()
        await asyncio.get_running_loop().create_future()
