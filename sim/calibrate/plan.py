"""The plan of the measurement: slots, work, three loads, several rounds. Each run is a scenario; nothing runs here."""

from __future__ import annotations

from dataclasses import dataclass

from voxpool.sim.chance.distributions import Exponential
from voxpool.sim.chance.seeds import sub_seed
from voxpool.sim.scenario.scenario import Nodes, Scenario, Traffic

PAIR = "zh:en"
SETTLE_S = 0.5
"""Seconds from the start of a run to its first arrival, so that all jobs of the previous run have ended."""
PROBE_WORK_PART = 0.1
"""Factor on the work in a probe: the number of messages stays the same, and no queue builds up."""


@dataclass(frozen=True)
class Size:
    """Size of the measurement: `rounds` rounds of a probe and a run per load, on `nodes` nodes of `slots` slots."""

    nodes: int = 2
    slots: int = 2
    work_s: float = 0.1
    """The mean of the exponential work. It is short, so that costs are a measurable share of it."""
    loads: tuple[float, ...] = (0.5, 0.7, 0.79)
    rounds: int = 3
    run_s: float = 20.0
    probe_s: float = 4.0
    retention_s: float = 4.0
    cleanup_interval_s: float = 1.0
    burst: int = 1000
    """Jobs without work that each round sends at once, to measure the cost of the scheduler's loop when never idle."""
    audio_bytes: int = 16_000
    """Half a second of speech at 16 kHz and 16 bits."""

    @property
    def places(self) -> int:
        """Jobs that can be worked on at the same time."""
        return self.nodes * self.slots

    @property
    def seconds(self) -> float:
        """Duration of all runs, without the start and end of processes."""
        return self.rounds * len(self.loads) * (self.probe_s + self.run_s)


FULL = Size()
QUICK = Size(rounds=1, run_s=8.0, probe_s=2.0, burst=400, retention_s=2.0, cleanup_interval_s=0.5)


@dataclass(frozen=True)
class Run:
    """One run: its position in the plan, and its scenario."""

    name: str
    round: int
    load: float
    """Offered work divided by slots. A probe has the same arrival rate and shorter jobs."""
    is_probe: bool
    scenario: Scenario


def plan(size: Size, seed: int) -> list[list[Run]]:
    """Return a list of runs for each round: a probe and a run per load. Loads alternate, so disturbances affect all."""
    return [
        [
            Run(name, number, load, is_probe, _scenario(size, seed, name, load, is_probe))
            for load in size.loads
            for is_probe, name in ((True, f"probe-{load:g}-{number}"), (False, f"load-{load:g}-{number}"))
        ]
        for number in range(size.rounds)
    ]


def _scenario(size: Size, seed: int, name: str, load: float, is_probe: bool) -> Scenario:
    return Scenario(
        name=name,
        seed=sub_seed(seed, f"calibrate/{name}") % 2**32,
        duration_s=size.probe_s if is_probe else size.run_s,
        settings={"retention_s": size.retention_s, "cleanup_interval_s": size.cleanup_interval_s},
        nodes=[Nodes(count=size.nodes, pairs=[PAIR], slots=size.slots)],
        traffic=[
            Traffic(
                pair=PAIR,
                rate_per_s=load * size.places / size.work_s,
                work_s=Exponential(size.work_s * (PROBE_WORK_PART if is_probe else 1.0)),
                audio_bytes=float(size.audio_bytes),
                start_s=SETTLE_S,
            )
        ],
    )
