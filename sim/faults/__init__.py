"""What can break in a run: a table of kinds a target, and the process that strikes."""

from sim.faults.kind import FaultKind, Target
from sim.faults.scheduler import CLOCK_OFF_MS
from sim.faults.strikes import FAULTS, Faults, check_fault

__all__ = ["CLOCK_OFF_MS", "FAULTS", "FaultKind", "Faults", "Target", "check_fault"]
