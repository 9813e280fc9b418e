"""Computes the costs of this machine from probes: runs with almost no queueing, in which all time beside work is cost.

A job goes client -> scheduler -> store -> scheduler -> node, and its result node -> scheduler -> client: four link
delays, two messages that the scheduler's loop reads, one round trip to the store. The scheduler times the store. The
cost of the loop is the processor time of a burst, in which it is never idle. The rest of the measured times is the
cost of the links; it includes the time to wake a process.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from voxpool.scheduler.errors import ConfigError
from voxpool.sim.calibrate.measured import Burst, Measured
from voxpool.sim.chance.distributions import Empirical
from voxpool.sim.scenario.scenario import Links, Loop, Scenario, Service, StoreDelay

Floats = NDArray[np.float64]
VALUES = 50
"""Number of values of an empirical distribution: each is the mean of an equal part of the sorted samples."""
MESSAGES_A_JOB = 2
"""The messages of a job that the scheduler reads: the submit and the result."""
FINE = 200 * VALUES
SPREAD_MIN = 1e-6
JOBS_MIN = 30
"""The smallest number of completed jobs that a measurement accepts."""
_SCRIPT = '{script="select_node"}'


@dataclass(frozen=True)
class Costs:
    """Costs in ms. `link` and `service` are samples of one way and of one attempt, `script` and `loop` are means."""

    link_ms: tuple[float, ...]
    script_ms: float
    """A round trip to the store, the execution of the scripts included."""
    loop_ms: float
    """Processor time of the scheduler for one message that it reads."""
    service_ms: tuple[float, ...]
    accepted_ms: float = 0.0
    """Measured time until the client receives the acceptance of its job (two links, one message: `explained_ms`)."""

    @property
    def explained_ms(self) -> float:
        """The value of `accepted_ms` computed from the costs: it checks the separation of costs."""
        return 2 * float(np.mean(self.link_ms)) + self.loop_ms

    @property
    def turnaround_ms(self) -> float:
        """Time from the end of one job to the start of the next waiting job on the same slot."""
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
        """Return the costs as TOML tables of a scenario, for `voxpool-sim run --costs` or to paste into a scenario."""
        return "\n".join(
            [
                "# Costs of a machine, measured by `voxpool-sim calibrate`. All in ms.",
                "",
                "[links.delay_ms]                  # one way between scheduler, node or client",
                *_empirical(self.link_ms),
                "",
                "[store]",
                f"delay_ms = {self.script_ms / 2:.4f}                 # one way to the store, scripts included",
                "",
                "[service.overhead_ms]             # time of an attempt on a node in addition to its work",
                *_empirical(self.service_ms),
                "",
                "[loop]",
                f"message_ms = {self.loop_ms:.4f}               # time of the scheduler for an incoming message",
                "",
            ]
        )


def measure(probes: Sequence[Measured], bursts: Sequence[Burst]) -> Costs:
    """Return the costs that `probes` and `bursts` show. Raises ConfigError when too few jobs completed."""
    records = [record for probe in probes for record in probe.records]
    if len(records) < JOBS_MIN:
        raise ConfigError(f"calibrate: {len(records)} jobs completed in the probes, {JOBS_MIN} are needed")
    due, accepted, started, ended, received, work = (
        1000 * np.array([getattr(record, name) for record in records])
        for name in ("due_s", "accepted_s", "started_s", "ended_s", "received_s", "work_s")
    )
    script = 1000 * _grown(probes, f"script_seconds_sum{_SCRIPT}") / _grown(probes, f"script_seconds_count{_SCRIPT}")
    loop = 1000 * sum(burst.cpu_s for burst in bursts) / (MESSAGES_A_JOB * sum(burst.jobs for burst in bursts))
    two_ways = np.maximum(0.0, np.concatenate([started - due - script - loop, received - ended - loop]))
    return Costs(
        link_ms=_rounded(halved(two_ways)),
        script_ms=float(script),
        loop_ms=float(loop),
        service_ms=_rounded(_means(np.maximum(0.0, ended - started - work))),
        accepted_ms=float(np.mean(accepted - due)),
    )


def halved(sums: Floats) -> Floats:
    """Return VALUES values such that the sum of two independent draws is distributed like `sums`.

    A gamma distribution that begins at the smallest of `sums` is fitted: the sum of two draws of half its shape has
    that distribution. The shape is the maximum likelihood estimate (approximation of Minka 2002), which a few outliers
    hardly change; the mean is exact.
    """
    least = float(sums.min())
    above = sums[sums > least] - least
    if not len(above):
        return np.full(VALUES, least / 2)
    mean = float(above.mean())
    spread = max(SPREAD_MIN, math.log(mean) - float(np.log(above).mean()))
    shape = (3 - spread + math.sqrt((spread - 3) ** 2 + 24 * spread)) / (12 * spread)
    from scipy.special import gammaincinv  # takes 0.3 s to import, and the list of commands does not need it

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
