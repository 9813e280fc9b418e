"""One experiment a question: without and with the fix, one seed, both figures, a verdict and an exit code."""

from __future__ import annotations

from sim.experiments import audio, leak, leftovers, pools
from sim.experiments.experiment import Experiment, Options

registry: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (leak.EXPERIMENT, audio.EXPERIMENT, leftovers.EXPERIMENT, pools.EXPERIMENT)
}
"""Name -> experiment, in the order in which they are listed."""

__all__ = ["Experiment", "Options", "registry"]
