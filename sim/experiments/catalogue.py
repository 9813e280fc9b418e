"""All experiments, by name."""

from __future__ import annotations

from voxpool.sim.experiments.audio import question as audio
from voxpool.sim.experiments.experiment import Experiment
from voxpool.sim.experiments.faults import question as faults
from voxpool.sim.experiments.leak import question as leak
from voxpool.sim.experiments.orphans import question as orphans
from voxpool.sim.experiments.overload import question as overload
from voxpool.sim.experiments.policy import question as policy
from voxpool.sim.experiments.pools import question as pools
from voxpool.sim.experiments.race import question as race
from voxpool.sim.experiments.schedulers import question as schedulers
from voxpool.sim.experiments.share import question as share

EXPERIMENTS = (
    leak.EXPERIMENT,
    audio.EXPERIMENT,
    orphans.EXPERIMENT,
    race.EXPERIMENT,
    faults.EXPERIMENT,
    schedulers.EXPERIMENT,
    pools.EXPERIMENT,
    policy.EXPERIMENT,
    overload.EXPERIMENT,
    share.EXPERIMENT,
)
"""All experiments, in the order of the list."""
BY_NAME: dict[str, Experiment] = {experiment.name: experiment for experiment in EXPERIMENTS}
