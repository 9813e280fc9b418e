"""The defects that can be put back into a run: each variant is the production core with one old behaviour.

`voxpool-sim run SCENARIO --without ID`, `explore --without ID` and the experiments use these variants. Defects whose
"without" side is a separate model, such as M4, are not included.
"""

from __future__ import annotations

from collections.abc import Callable

from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.sentences import nearest
from voxpool.sim.experiments.audio.without.audio_kept import FreedAtDispatch
from voxpool.sim.experiments.faults.without.no_second_try import FailsAtOnce, IsNotTriedAgain
from voxpool.sim.experiments.faults.without.old_pools import keeps_old_pools
from voxpool.sim.experiments.faults.without.refused_for_ever import HearsNoUnknown, SweepsOnly, TellsNobody
from voxpool.sim.experiments.faults.without.sessions_cancel_nothing import CancelsNothing
from voxpool.sim.experiments.leak.without.age_from_creation import AgeFromCreation
from voxpool.sim.experiments.policy.without.blind import RULES
from voxpool.sim.experiments.policy.without.unasked import least_loaded_never_rests, prefers_unasked
from voxpool.sim.experiments.race.without.check_then_act import ChecksThenActs
from voxpool.sim.experiments.race.without.dispatch_time_kept import KeepsTheDispatchTime
from voxpool.sim.experiments.race.without.finished_reassigned import AssignsWhatHasEnded, TakesTheResultMeanwhile
from voxpool.sim.experiments.race.without.holds_ignored import IgnoresWhatItHeld, RemembersTheGone
from voxpool.sim.experiments.race.without.marked_before_sent import MarksBeforeItSends
from voxpool.sim.experiments.race.without.old_attempt import SendsTheOldAttempt
from voxpool.sim.experiments.race.without.old_connection import GoesByTheName
from voxpool.sim.experiments.race.without.plain_beats import BeatsSettleNothing
from voxpool.sim.experiments.race.without.result_filters import DeliversWhateverComes, FiltersBeforeItValidates
from voxpool.sim.experiments.race.without.time_out_in_steps import in_steps
from voxpool.sim.experiments.race.without.uncounted import CountsNothing
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
    "R2": lambda: replaced(dispatcher=KeepsTheDispatchTime),
    "R3": lambda: replaced(dispatcher=CountsNothing),
    "R4": lambda: replaced(dispatcher=SendsTheOldAttempt, node_events=BeatsSettleNothing),
    "R5": lambda: replaced(node_registry=RemembersTheGone, node_events=IgnoresWhatItHeld),
    "R6": lambda: replaced(node_registry=HearsNoUnknown, node_events=TellsNobody, leases=SweepsOnly),
    "R7": lambda: replaced(node_events=GoesByTheName),
    "R9": lambda: replaced(dispatcher=bugs.SendsTwice),
    "R10": lambda: replaced(dispatcher=AssignsWhatHasEnded, node_events=TakesTheResultMeanwhile),
    "R11": lambda: replaced(node_events=FiltersBeforeItValidates),
    "R11double": lambda: replaced(node_events=DeliversWhateverComes),
    "R12": lambda: replaced(dispatcher=ChecksThenActs),
    "R13": lambda: replaced(dispatcher=MarksBeforeItSends, node_events=BeatsSettleNothing),
    "R14": keeps_old_pools,
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
