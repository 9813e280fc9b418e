"""One experiment a question: without and with the fix, one seed, both figures, a verdict and an exit code."""

from __future__ import annotations

from voxpool.sim.experiments import audio, faults, leak, leftovers, overload, policy, pools, race
from voxpool.sim.experiments.experiment import Experiment, Options

EXPERIMENTS = (
    leak.EXPERIMENT,
    audio.EXPERIMENT,
    leftovers.EXPERIMENT,
    race.EXPERIMENT,
    faults.EXPERIMENT,
    pools.EXPERIMENT,
    policy.EXPERIMENT,
    overload.EXPERIMENT,
)
"""In the order in which they are listed."""

registry: dict[str, Experiment] = {experiment.name: experiment for experiment in EXPERIMENTS}
"""Name -> experiment."""

__all__ = ["Experiment", "Options", "registry"]
