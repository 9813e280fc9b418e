"""What is run: so many slots, so much work, three loads, several rounds; each run is a scenario. Nothing runs here."""

from __future__ import annotations

from dataclasses import dataclass

from sim.distributions import Exponential
from sim.scenario import Nodes, Scenario, Traffic
from sim.seeds import sub_seed

PAIR = "zh:en"
SETTLE_S = 0.5
"""From the start of a run to its first arrival: what the run before has left is over."""
PROBE_WORK_PART = 0.1
"""In the run that measures costs the work is so much shorter: the same messages, and no queue."""


@dataclass(frozen=True)
class Size:
    """How much is run: `rounds` times a probe and a run at each of `loads`, on `nodes` processes of `slots` each."""

    nodes: int = 2
    slots: int = 2
    work_s: float = 0.1
    """The mean of the exponential work. Short, so that costs are a part of it that can be seen."""
    loads: tuple[float, ...] = (0.5, 0.7, 0.79)
    rounds: int = 3
    run_s: float = 20.0
    probe_s: float = 6.0
    retention_s: float = 4.0
    cleanup_interval_s: float = 1.0
    burst: int = 1000
    """Jobs without work at once, in each round: what the scheduler's loop costs when it is never idle."""
    audio_bytes: int = 16_000
    """Half a second of speech at 16 kHz and 16 bits."""

    @property
    def places(self) -> int:
        """Jobs that can be worked on at the same time."""
        return self.nodes * self.slots

    @property
    def seconds(self) -> float:
        """How long all runs take, start and end of the processes apart."""
        return self.rounds * (self.probe_s + len(self.loads) * self.run_s)


FULL = Size()
QUICK = Size(rounds=1, run_s=8.0, probe_s=3.0, burst=400, retention_s=2.0, cleanup_interval_s=0.5)


@dataclass(frozen=True)
class Run:
    """One run: its place in the plan, and what is played."""

    name: str
    round: int
    load: float
    """The part of the slots that the work alone fills; 0 for a probe."""
    scenario: Scenario


def plan(size: Size, seed: int) -> list[list[Run]]:
    """Return the runs, a list a round, its probe first. Loads take turns, so that a disturbance meets all of them."""
    rate_per_s = sum(size.loads) / len(size.loads) * size.places / size.work_s
    rounds = []
    for number in range(size.rounds):
        probe = _scenario(size, seed, f"probe-{number}", size.probe_s, rate_per_s, PROBE_WORK_PART * size.work_s)
        runs = [Run(probe.name, number, 0.0, probe)]
        for load in size.loads:
            name = f"load-{load:g}-{number}"
            scenario = _scenario(size, seed, name, size.run_s, load * size.places / size.work_s, size.work_s)
            runs.append(Run(name, number, load, scenario))
        rounds.append(runs)
    return rounds


def _scenario(size: Size, seed: int, name: str, duration_s: float, rate_per_s: float, work_s: float) -> Scenario:
    return Scenario(
        name=name,
        seed=sub_seed(seed, f"calibrate/{name}") % 2**32,
        duration_s=duration_s,
        settings={"retention_s": size.retention_s, "cleanup_interval_s": size.cleanup_interval_s},
        nodes=[Nodes(count=size.nodes, pairs=[PAIR], slots=size.slots)],
        traffic=[
            Traffic(
                pair=PAIR,
                rate_per_s=rate_per_s,
                work_s=Exponential(work_s),
                audio_bytes=float(size.audio_bytes),
                start_s=SETTLE_S,
            )
        ],
    )
