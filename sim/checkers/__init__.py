"""What must be true in every run: each checker is a small class whose name is a sentence."""

from sim.checkers.a_busy_node_rests import ABusyNodeRests
from sim.checkers.a_failed_job_pauses import AFailedJobPauses
from sim.checkers.a_live_node_with_room_is_found import ALiveNodeWithRoomIsFound
from sim.checkers.an_old_result_changes_nothing import AnOldResultChangesNothing
from sim.checkers.attempts_are_bounded import AttemptsAreBounded
from sim.checkers.base import Checker
from sim.checkers.every_request_ends_once import EveryRequestEndsOnce
from sim.checkers.every_store_key_has_a_living_owner import EveryStoreKeyHasALivingOwner
from sim.checkers.every_table_is_empty_at_the_end import EveryTableIsEmptyAtTheEnd
from sim.checkers.grants_go_to_their_generation import GrantsGoToTheirGeneration
from sim.checkers.littles_law import LittlesLaw
from sim.checkers.no_hold_beyond_the_slots import NoHoldBeyondTheSlots
from sim.checkers.no_node_idles_beside_a_waiting_job import NoNodeIdlesBesideAWaitingJob
from sim.checkers.nothing_is_lost import NothingIsLost
from sim.checkers.one_assignment_an_attempt import OneAssignmentAnAttempt
from sim.checkers.the_chosen_node_serves_the_pair import TheChosenNodeServesThePair

CHECKERS: tuple[type[Checker], ...] = (
    EveryRequestEndsOnce,
    NothingIsLost,
    NoHoldBeyondTheSlots,
    ALiveNodeWithRoomIsFound,
    NoNodeIdlesBesideAWaitingJob,
    EveryStoreKeyHasALivingOwner,
    EveryTableIsEmptyAtTheEnd,
    LittlesLaw,
    OneAssignmentAnAttempt,
    AnOldResultChangesNothing,
    GrantsGoToTheirGeneration,
    ABusyNodeRests,
    TheChosenNodeServesThePair,
    AttemptsAreBounded,
    AFailedJobPauses,
)

__all__ = [
    "CHECKERS",
    "ABusyNodeRests",
    "AFailedJobPauses",
    "ALiveNodeWithRoomIsFound",
    "AnOldResultChangesNothing",
    "AttemptsAreBounded",
    "Checker",
    "EveryRequestEndsOnce",
    "EveryStoreKeyHasALivingOwner",
    "EveryTableIsEmptyAtTheEnd",
    "GrantsGoToTheirGeneration",
    "LittlesLaw",
    "NoHoldBeyondTheSlots",
    "NoNodeIdlesBesideAWaitingJob",
    "NothingIsLost",
    "OneAssignmentAnAttempt",
    "TheChosenNodeServesThePair",
]
