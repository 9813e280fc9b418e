"""What this machine costs, from probes: runs with hardly a queue, so that all time beside the work is cost.

A job goes client -> scheduler -> store -> scheduler -> node, and its result node -> scheduler -> client: four ways on
links, two messages that the scheduler's loop reads, one round trip to the store. The store's is timed by the scheduler;
the loop's is its processor time in a burst, where nothing is idle; what is left of the measured times is the links',
with all that it takes to wake a process.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

from voxpool.scheduler.errors import ConfigError
from voxpool.sim.calibrate.measured import Burst, Measured
from voxpool.sim.chance.distributions import Empirical
from voxpool.sim.scenario.scenario import Links, Loop, Scenario, Service, StoreDelay

Floats = NDArray[np.float64]
VALUES = 50
"""Number of values of an empirical distribution: each is the mean of an equal part of the sorted samples."""
MESSAGES_A_JOB = 2
"""That the scheduler reads: the submit and the result."""
FINE = 200 * VALUES
SPREAD_MIN = 1e-6
JOBS_MIN = 30
"""Fewer jobs than this are no measurement."""
_SCRIPT = '{script="select_node"}'


@dataclass(frozen=True)
class Costs:
    """Costs in ms. `link` and `service` are samples of one way and of one attempt, `script` and `loop` are means."""

    link_ms: tuple[float, ...]
    script_ms: float
    """A round trip to the store with its scripts."""
    loop_ms: float
    """A message that the scheduler reads, in its processor time."""
    service_ms: tuple[float, ...]
    accepted_ms: float = 0.0
    """Measured: until the client receives the acceptance of its job (two links and a message, see `explained_ms`)."""

    @property
    def explained_ms(self) -> float:
        """The value of `accepted_ms` that follows from the costs: it checks that links were separated correctly."""
        return 2 * float(np.mean(self.link_ms)) + self.loop_ms

    @property
    def turnaround_ms(self) -> float:
        """From the end of one job to the start of the next that waits, on the same slot."""
        return 2 * float(np.mean(self.link_ms)) + self.loop_ms + self.script_ms

    def applied_to(self, scenario: Scenario) -> Scenario:
        """Return `scenario` with these costs."""
        return msgspec.structs.replace(
            scenario,
            links=Links(delay_ms=Empirical(values=self.link_ms)),
            store=StoreDelay(delay_ms=self.script_ms / 2),
            service=Service(overhead_ms=Empirical(values=self.service_ms)),
            loop=Loop(message_ms=self.loop_ms),
        )

    def toml(self) -> str:
        """Return them as a part of a scenario: for `voxpool-sim run --costs`, or to be pasted into one."""
        return "\n".join(
            [
                "# What a machine costs, measured by `voxpool-sim calibrate`. All in ms.",
                "",
                "[links.delay_ms]                  # one way between scheduler, node or client",
                *_empirical(self.link_ms),
                "",
                "[store]",
                f"delay_ms = {self.script_ms / 2:.4f}                 # one way to the store; its scripts are in it",
                "",
                "[service.overhead_ms]             # an attempt on a node, beside its work",
                *_empirical(self.service_ms),
                "",
                "[loop]",
                f"message_ms = {self.loop_ms:.4f}               # the scheduler is busy with a message that comes in",
                "",
            ]
        )


def measure(probes: Sequence[Measured], bursts: Sequence[Burst]) -> Costs:
    """Return the costs that `probes` and `bursts` show. Raises ConfigError when too few jobs completed."""
    records = [record for probe in probes for record in probe.records]
    if len(records) < JOBS_MIN:
        raise ConfigError(f"calibrate: {len(records)} jobs completed in the probes, {JOBS_MIN} are needed")
    due, accepted, started, ended, heard, work = (
        1000 * np.array([getattr(record, name) for record in records])
        for name in ("due_s", "accepted_s", "started_s", "ended_s", "received_s", "work_s")
    )
    script = 1000 * _grown(probes, f"script_seconds_sum{_SCRIPT}") / _grown(probes, f"script_seconds_count{_SCRIPT}")
    loop = 1000 * sum(burst.cpu_s for burst in bursts) / (MESSAGES_A_JOB * sum(burst.jobs for burst in bursts))
    two_ways = np.maximum(0.0, np.concatenate([started - due - script - loop, heard - ended - loop]))
    return Costs(
        link_ms=_rounded(halved(two_ways)),
        script_ms=float(script),
        loop_ms=float(loop),
        service_ms=_rounded(_means(np.maximum(0.0, ended - started - work))),
        accepted_ms=float(np.mean(accepted - due)),
    )


def halved(sums: Floats) -> Floats:
    """Return VALUES values of which two, drawn independently, add up to what is distributed like `sums`.

    A gamma distribution from the least of `sums` upwards: two of half its shape add up to it. Its shape is the most
    likely one (as Minka 2002 approximates it), which a few sums that are far out do not spoil; its mean is exact.
    """
    least = float(sums.min())
    above = sums[sums > least] - least
    if not len(above):
        return np.full(VALUES, least / 2)
    mean = float(above.mean())
    spread = max(SPREAD_MIN, math.log(mean) - float(np.log(above).mean()))
    shape = (3 - spread + math.sqrt((spread - 3) ** 2 + 24 * spread)) / (12 * spread)
    quantiles = np.asarray(gammaincinv(shape / 2, (np.arange(FINE) + 0.5) / FINE), dtype=np.float64)
    values = _means(quantiles) / float(quantiles.mean()) * (float(sums.mean()) - least) / 2
    halves: Floats = least / 2 + values
    return halves


def _means(samples: Floats) -> Floats:
    """Return the means of equal parts of the sorted samples."""
    return np.array([part.mean() for part in np.array_split(np.sort(samples), min(VALUES, len(samples)))])


def _rounded(values: Floats) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)


def _grown(probes: Sequence[Measured], name: str) -> float:
    return sum(probe.after[name] - probe.before.get(name, 0.0) for probe in probes)


def _empirical(values: Sequence[float]) -> list[str]:
    listed = [f"{value:.4g}" for value in values]
    rows = [", ".join(listed[i : i + 10]) for i in range(0, len(listed), 10)]
    return ['dist = "empirical"', "values = [", *(f"    {row}," for row in rows), "]"]
