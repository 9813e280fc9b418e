"""Faults of a run: a table of kinds for each target, and the process that injects them."""

from voxpool.sim.faults.kind import FaultKind, Target
from voxpool.sim.faults.scheduler import CLOCK_OFF_MS
from voxpool.sim.faults.strikes import FAULTS, Faults, check_fault, faults_of

__all__ = ["CLOCK_OFF_MS", "FAULTS", "FaultKind", "Faults", "Target", "check_fault", "faults_of"]
