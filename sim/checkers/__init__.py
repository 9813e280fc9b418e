"""Invariants of every run: each checker is a small class whose name is a sentence."""

from voxpool.sim.checkers.a_live_node_with_room_is_found import ALiveNodeWithRoomIsFound
from voxpool.sim.checkers.allocations_go_to_their_generation import AllocationsGoToTheirGeneration
from voxpool.sim.checkers.attempts import AnOldResultChangesNothing, AttemptsAreBounded, OneAssignmentAnAttempt
from voxpool.sim.checkers.base import Checker
from voxpool.sim.checkers.ends import EveryRequestEndsOnce, EveryResultIsItsOwn
from voxpool.sim.checkers.every_store_key_has_a_living_owner import EveryStoreKeyHasALivingOwner
from voxpool.sim.checkers.every_table_is_empty_at_the_end import EveryTableIsEmptyAtTheEnd
from voxpool.sim.checkers.littles_law import LittlesLaw
from voxpool.sim.checkers.no_node_idles_beside_a_waiting_job import NoNodeIdlesBesideAWaitingJob
from voxpool.sim.checkers.no_reservation_beyond_the_slots import NoReservationBeyondTheSlots
from voxpool.sim.checkers.nothing_is_lost import NothingIsLost
from voxpool.sim.checkers.pauses import ABusyNodeRests, AFailedJobPauses
from voxpool.sim.checkers.the_chosen_node_serves_the_pair import TheChosenNodeServesThePair
from voxpool.sim.checkers.turns import KeysTakeTurns

CHECKERS: tuple[type[Checker], ...] = (
    EveryRequestEndsOnce,
    EveryResultIsItsOwn,
    NothingIsLost,
    NoReservationBeyondTheSlots,
    ALiveNodeWithRoomIsFound,
    NoNodeIdlesBesideAWaitingJob,
    EveryStoreKeyHasALivingOwner,
    EveryTableIsEmptyAtTheEnd,
    LittlesLaw,
    OneAssignmentAnAttempt,
    AnOldResultChangesNothing,
    AllocationsGoToTheirGeneration,
    ABusyNodeRests,
    TheChosenNodeServesThePair,
    AttemptsAreBounded,
    AFailedJobPauses,
    KeysTakeTurns,
)

__all__ = [
    "CHECKERS",
    "ABusyNodeRests",
    "AFailedJobPauses",
    "ALiveNodeWithRoomIsFound",
    "AllocationsGoToTheirGeneration",
    "AnOldResultChangesNothing",
    "AttemptsAreBounded",
    "Checker",
    "EveryRequestEndsOnce",
    "EveryResultIsItsOwn",
    "EveryStoreKeyHasALivingOwner",
    "EveryTableIsEmptyAtTheEnd",
    "KeysTakeTurns",
    "LittlesLaw",
    "NoNodeIdlesBesideAWaitingJob",
    "NoReservationBeyondTheSlots",
    "NothingIsLost",
    "OneAssignmentAnAttempt",
    "TheChosenNodeServesThePair",
]
