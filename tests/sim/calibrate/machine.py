"""A machine with known costs: the simulation replaces it, so that the results of `calibrate` can be checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from voxpool.sim.calibrate.costs import MESSAGES_A_JOB, Costs, measure
from voxpool.sim.calibrate.measured import Burst, Measured, Record
from voxpool.sim.calibrate.plan import QUICK, Run, Size, plan
from voxpool.sim.chance.distributions import Gamma
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.scenario.scenario import Links, Loop, Scenario, Service, StoreDelay
from voxpool.sim.world.clients import Request
from voxpool.sim.world.nodes import SimNode, Work
from voxpool.sim.world.run import play
from voxpool.sim.world.world import World

SIZE = replace(QUICK, rounds=2, run_s=20.0, probe_s=10.0, retention_s=2.0, cleanup_interval_s=0.5)
LINK_MS, STORE_MS, MESSAGE_MS, OVERHEAD_MS = 0.5, 0.2, 0.08, 0.3
COSTLY: Mapping[str, Any] = {
    "links": Links(delay_ms=Gamma(LINK_MS, 0.6)),
    "store": StoreDelay(delay_ms=STORE_MS),
    "loop": Loop(message_ms=MESSAGE_MS),
    "service": Service(overhead_ms=Gamma(OVERHEAD_MS, 0.5)),
}


class _Records(Watcher):
    def __init__(self, world: World, measured: Measured) -> None:
        self._env = world.env
        self._measured = measured
        self._begun: dict[str, tuple[float, float]] = {}

    def work_started(self, worker: SimNode, work: Work) -> None:
        self._begun[work.request.request_id] = (work.started_at, work.ends_at)

    def request_ended(self, request: Request, state: str) -> None:
        started_s, ended_s = self._begun[request.request_id]
        made_s = request.made_at
        taken_s = request.submitted_at + LINK_MS / 1000
        self._measured.records.append(
            Record(request.request_id, request.work_s, made_s, made_s, taken_s, started_s, ended_s, self._env.now)
        )


def measure_run(run: Run, costly: Mapping[str, Any] = COSTLY) -> Measured:
    """Return the measurements of a run on that machine."""
    measured = Measured(run)
    scenario: Scenario = msgspec.structs.replace(run.scenario, **costly, seed=run.scenario.seed)
    played = play(scenario, checkers=(), is_traced=False, watchers=[lambda world: _Records(world, measured)])
    measured.resident.append(played.run["resident"]["jobs_mean"])
    count = len(measured.records)
    measured.after = {
        'script_seconds_sum{script="select_node"}': count * 2 * STORE_MS / 1000,
        'script_seconds_count{script="select_node"}': float(count),
    }
    return measured


def burst(jobs: int = 1000) -> Burst:
    """Return the cost of a burst on that machine."""
    return Burst(jobs, jobs * MESSAGES_A_JOB * MESSAGE_MS / 1000)


def measured_runs(size: Size = SIZE, costly: Mapping[str, Any] = COSTLY) -> tuple[Costs, list[Measured]]:
    """Return the measured costs, and the runs at the loads."""
    measured = [measure_run(run, costly) for runs in plan(size, 1) for run in runs]
    probes = [found for found in measured if found.run.is_probe]
    return measure(probes, [burst()]), [found for found in measured if not found.run.is_probe]
