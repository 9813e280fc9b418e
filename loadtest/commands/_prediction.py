"""Simulates a real run: the same scenario file in virtual time, with the same measurement of memory.

A finished job of a real server is larger than one of a plain simulation: its strings are decoded from frames and not
shared, and it keeps the answer of its node. Therefore submits and answers go through production's codec here, and ids
are as long as those of the load. This module does not depend on sockets or Locust.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from voxpool.leakgate.inside.allocators import AllocatedBytes
from voxpool.loadtest.users._audio import AudioAnswer
from voxpool.scheduler.core.composition import CoreClasses
from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.protocol import codec
from voxpool.scheduler.protocol.messages import FromClient, FromNode, NodeResult, Submit
from voxpool.sim.experiments.leak.allocated_bytes import NEVER_S, TELL_EVERY
from voxpool.sim.experiments.processes import Tell
from voxpool.sim.planted.leak import leaking
from voxpool.sim.scenario.scenario import Scenario
from voxpool.sim.world.links import Connection
from voxpool.sim.world.nodes import SimNode, Work
from voxpool.sim.world.run import set_up
from voxpool.sim.world.variant import Variant
from voxpool.sim.world.world import World

AIM = 0.1
"""Delay of a reading after a sweep, in intervals."""
INSTANCE = "0" * 10
"""An instance name of the length of a real one: every job id begins with it."""
REQUEST_ID_CHARACTERS = len("session-01234567-0-12-1234")
"""Length of the request ids of the load; a string of CPython takes 16 bytes more for each 16 characters."""
CRC32, NUMBER = 0xFFFFFFFF, 12 << 32 | 1234
"""Values of the size of a real answer's; they are not read."""


@dataclass(slots=True)
class Readings:
    """One reading per sweep, just after it, measured or predicted: all lists have the same length."""

    at_s: list[float] = field(default_factory=list)
    """Seconds since the start of the load."""
    allocated: list[float] = field(default_factory=list)
    """Allocated bytes of the scheduler's process, or of the whole simulation if predicted: compare differences only."""
    finished: list[int] = field(default_factory=list)
    """Finished jobs in the table."""
    ended: list[int] = field(default_factory=list)
    """Jobs that had ended since the start."""

    def __len__(self) -> int:
        return len(self.at_s)

    def add(self, at_s: float, allocated: float, finished: int, ended: int) -> None:
        """Add one reading."""
        self.at_s.append(at_s)
        self.allocated.append(allocated)
        self.finished.append(finished)
        self.ended.append(ended)

    def since(self, at_s: float) -> Readings:
        """Return the readings from `at_s` on."""
        first = next((i for i, at in enumerate(self.at_s) if at >= at_s), len(self))
        return Readings(self.at_s[first:], self.allocated[first:], self.finished[first:], self.ended[first:])


class _WireDispatcher(Dispatcher):
    """Production's dispatcher with submits that are decoded as from a socket."""

    def __init__(self, *, instance: str, **classes: Any) -> None:
        super().__init__(instance=INSTANCE, **classes)

    def submit(self, *, pair: str, audio: bytes, request_id: str, **rest: Any) -> Job:
        frame = codec.encode(Submit(request_id.zfill(REQUEST_ID_CHARACTERS), pair, audio), binary=True)
        read: FromClient = codec.from_client.decode(frame, True)
        assert isinstance(read, Submit)
        return super().submit(pair=read.pair, audio=read.audio, request_id=read.request_id, **rest)


class _WireConnection(Connection):
    """A node's connection whose answers are decoded as from a socket."""

    def arrive(self, message: FromNode) -> None:
        read: FromNode = codec.from_node.decode(codec.encode(message, binary=True), True)
        super().arrive(read)


class _AnsweringNode(SimNode):
    """A node with the answers of a node user of the load."""

    def result_of(self, work: Work) -> NodeResult:
        answer = AudioAnswer(CRC32, work.request.audio_bytes, NUMBER)
        return NodeResult(work.job_id, work.attempt, msgspec.to_builtins(answer))


def predict(scenario: Scenario, settings: Mapping[str, Any], seconds: float, leak_bytes: float, tell: Tell) -> Readings:
    """Simulate the first `seconds` of `scenario`, overridden by `settings`, with a planted leak of `leak_bytes` per job
    (0 = none); return a reading after each of the scenario's sweeps, even if `settings` turn them off.

    Raises Unreadable where this process's memory can't be read. Call it in a separate process.
    """
    interval_s = scenario.resolved_settings.cleanup_interval_s
    played = msgspec.structs.replace(scenario, duration_s=seconds)
    meter = AllocatedBytes()
    classes = CoreClasses(job_table=leaking(leak_bytes), dispatcher=_WireDispatcher)
    world = World(
        seed=played.seed,
        settings={**played.settings, **settings},
        delay_ms=played.links.delay_ms,
        store_delay_ms=played.store.delay_ms,
        variant=Variant(classes=classes, node=_AnsweringNode, connection=_WireConnection),
        checkers=(),
        content=False,
        is_traced=False,
        warmup_s=NEVER_S,  # no waits are recorded: they would grow by 24 bytes a job
    )
    set_up(world, played)
    readings = Readings()
    gc.collect()
    gc.freeze()  # exclude the objects of the start from the collections before each reading
    try:
        sweeps = math.floor(seconds / interval_s - AIM)
        for sweep in range(1, sweeps + 1):
            world.run_to((sweep + AIM) * interval_s)
            gc.collect()
            ended = sum(world.recorder.ended.values())
            readings.add(world.env.now, meter.read().allocated, world.core.table.finished, ended)
            if sweep % TELL_EVERY == 0:
                tell(sweep / sweeps)
    finally:
        gc.unfreeze()
    world.stop()
    return readings
