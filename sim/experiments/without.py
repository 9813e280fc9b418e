"""The defects that can be put back into a run: each variant is the production core with one old behaviour.

`voxpool-sim run SCENARIO --without ID`, `explore --without ID` and the experiments use these variants. Defects whose
"without" side is a separate model, such as M4, are not included.
"""

from __future__ import annotations

from collections.abc import Callable

from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.sentences import nearest
from voxpool.sim.experiments.audio.without.audio_kept import FreedAtDispatch
from voxpool.sim.experiments.faults.without.clients import CancelsNothing
from voxpool.sim.experiments.faults.without.nodes import (
    FailsAtOnce,
    HearsNoUnknown,
    IsNotTriedAgain,
    SweepsOnly,
    TellsNobody,
)
from voxpool.sim.experiments.leak.without.age_from_creation import AgeFromCreation
from voxpool.sim.experiments.policy.without.blind import RULES
from voxpool.sim.experiments.policy.without.unasked import least_loaded_never_rests, prefers_unasked
from voxpool.sim.experiments.race.without import redispatch, results
from voxpool.sim.experiments.race.without.timeout_in_steps import in_steps
from voxpool.sim.planted import bugs
from voxpool.sim.planted.bugs import replaced
from voxpool.sim.world.variant import Variant

VARIANTS: dict[str, Callable[[], Variant]] = {
    "M1": lambda: Variant("no clean-up", settings={"cleanup_interval_s": 0.0}),
    "M2": lambda: replaced(job_table=AgeFromCreation),
    "M3": lambda: replaced(dispatcher=FreedAtDispatch),
    "M5": bugs.leaves_ghosts,
    "C6": lambda: RULES["least/15"].variant(),
    "C7": prefers_unasked,
    "C8": least_loaded_never_rests,
    "R1": in_steps,
    "R2": lambda: replaced(dispatcher=redispatch.KeepsTheDispatchTime),
    "R3": lambda: replaced(dispatcher=redispatch.CountsNothing),
    "R4": lambda: replaced(dispatcher=redispatch.SendsTheOldAttempt, node_events=results.BeatsSettleNothing),
    "R5": lambda: replaced(node_registry=redispatch.RemembersTheGone, node_events=bugs.DoesNotTakeBack),
    "R6": lambda: replaced(node_registry=HearsNoUnknown, node_events=TellsNobody, leases=SweepsOnly),
    "R7": lambda: replaced(node_events=results.GoesByTheName),
    "R9": lambda: replaced(dispatcher=bugs.SendsTwice),
    "R10": lambda: replaced(dispatcher=results.AssignsWhatHasEnded, node_events=results.TakesTheResultMeanwhile),
    "R11": lambda: replaced(node_events=results.FiltersBeforeItValidates),
    "R11double": lambda: replaced(node_events=results.DeliversWhateverComes),
    "R12": lambda: replaced(dispatcher=results.ChecksThenActs),
    "R13": lambda: replaced(dispatcher=results.MarksBeforeItSends, node_events=results.BeatsSettleNothing),
    "R14": bugs.keeps_old_pools,
    "R15": lambda: replaced(dispatcher=FailsAtOnce),
    "R15waits": lambda: replaced(waiting=IsNotTriedAgain),
    "R16": lambda: replaced(dispatcher=CancelsNothing),
    "R21": lambda: replaced(waiting=bugs.ForgetsWhatCrossed),
    "R22": lambda: replaced(dispatcher=bugs.OnlyReleasesStaleAllocations),
    "R22sent": lambda: replaced(dispatcher=bugs.SendsStaleAllocations),
    "R23": lambda: replaced(dispatcher=bugs.ReusesAttemptNumbers),
    "R24": lambda: replaced(node_events=bugs.BusyNodesDoNotRest),
}
"""Defect id -> function that makes its variant."""


def variant_without(row: str) -> Variant:
    """Return production without the fix of defect `row`; production for ''. Raises ConfigError for an unknown id."""
    if not row:
        return Variant()
    if row not in VARIANTS:
        raise ConfigError(f"there is no variant for the defect {row!r}; {nearest(row, VARIANTS)}")
    return VARIANTS[row]()
