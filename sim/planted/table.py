"""The planted bugs: the checker that must find each one, and the number of seeds of the small swarm that must suffice.

`python -m voxpool.sim.planted.table` runs the swarm and prints the table, with all checkers that reported something.
tests/sim/test_checkers_bite.py has a small scenario for each bug.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from voxpool.sim.checkers import (
    ABusyNodeRests,
    AFailedJobPauses,
    ALiveNodeWithRoomIsFound,
    AllocationsGoToTheirGeneration,
    AnOldResultChangesNothing,
    AttemptsAreBounded,
    Checker,
    EveryRequestEndsOnce,
    EveryResultIsItsOwn,
    EveryStoreKeyHasALivingOwner,
    EveryTableIsEmptyAtTheEnd,
    KeysTakeTurns,
    LittlesLaw,
    NoNodeIdlesBesideAWaitingJob,
    NoReservationBeyondTheSlots,
    NothingIsLost,
    OneAssignmentAnAttempt,
    TheChosenNodeServesThePair,
)
from voxpool.sim.experiments.faults.without.nodes import HearsNoUnknown
from voxpool.sim.experiments.race.without.redispatch import CountsNothing
from voxpool.sim.planted import bugs, fair_bugs
from voxpool.sim.planted.bugs import replaced
from voxpool.sim.planted.deep import LeaksASlotAfterAResubmit
from voxpool.sim.swarm.one_seed import play_seed
from voxpool.sim.world.variant import Variant


class PlantedBug(NamedTuple):
    """A bug, the checker that must find it, and the number of seeds of the small swarm, from 1 on, that must suffice.

    `seeds` is 0 when the swarm need not find it: then a separate scenario shows it.
    """

    make: Callable[[], Variant]
    checker: type[Checker]
    seeds: int = 0
    known: int = 0
    """The seed in which the bug was first found. It runs first; the others run only when it finds nothing."""


PLANTED: dict[str, PlantedBug] = {
    "an end is reported twice": PlantedBug(lambda: replaced(dispatcher=bugs.ReportsTwice), EveryRequestEndsOnce, 3, 1),
    "outputs are mixed up": PlantedBug(lambda: replaced(node_events=bugs.MixesOutputsUp), EveryResultIsItsOwn, 5, 2),
    "audio is swapped": PlantedBug(lambda: replaced(dispatcher=bugs.SwapsAudio), EveryResultIsItsOwn, 5, 2),
    "keys are ignored": PlantedBug(lambda: replaced(fair=fair_bugs.IgnoresKeys), KeysTakeTurns, 12, 11),
    "weights are ignored": PlantedBug(lambda: replaced(fair=fair_bugs.IgnoresWeights), KeysTakeTurns),
    "a cancelled job is charged": PlantedBug(lambda: replaced(fair=fair_bugs.ChargesForWhatIsCancelled), KeysTakeTurns),
    "a request id makes two jobs (R12)": PlantedBug(
        lambda: replaced(job_table=bugs.ForgetsRequestIds), EveryRequestEndsOnce, 10, 2
    ),
    "a failed job has no end": PlantedBug(lambda: replaced(dispatcher=bugs.NeverReports), NothingIsLost, 3, 1),
    "a failed job is not counted": PlantedBug(
        lambda: replaced(job_table=bugs.LosesTrackOfFailures), NothingIsLost, 3, 1
    ),
    "every job is sent twice (R9)": PlantedBug(
        lambda: replaced(dispatcher=bugs.SendsTwice), OneAssignmentAnAttempt, 5, 2
    ),
    "attempt numbers are used again (R23)": PlantedBug(
        lambda: replaced(dispatcher=bugs.ReusesAttemptNumbers), OneAssignmentAnAttempt, 5, 2
    ),
    "redispatches are not counted (R3)": PlantedBug(
        lambda: replaced(dispatcher=CountsNothing), AttemptsAreBounded, 20, 6
    ),
    "any result counts (R4)": PlantedBug(
        lambda: replaced(node_events=bugs.TakesAnyAttempt), AnOldResultChangesNothing, 20, 6
    ),
    "full nodes are chosen": PlantedBug(bugs.overfills, NoReservationBeyondTheSlots, 5, 2),
    "reservations are never released (M8)": PlantedBug(bugs.keeps_reservations, NoReservationBeyondTheSlots, 5, 2),
    "the pair is not checked (C7)": PlantedBug(
        lambda: replaced(dispatcher=bugs.GivesToWhoeverIsThere), TheChosenNodeServesThePair, 10, 3
    ),
    "a node keeps its old pools (R14)": PlantedBug(bugs.keeps_old_pools, TheChosenNodeServesThePair, 25, 8),
    "one draw and no other (C1)": PlantedBug(bugs.draws_once, ALiveNodeWithRoomIsFound, 20, 5),
    "a job that crossed an answer is not selected again (R21)": PlantedBug(
        lambda: replaced(waiting=bugs.ForgetsWhatCrossed), NoNodeIdlesBesideAWaitingJob, 10, 2
    ),
    "a flush without an answer is dropped": PlantedBug(
        lambda: replaced(queue=bugs.DropsAFailedFlush), NoNodeIdlesBesideAWaitingJob, 10, 2
    ),
    "a node that leaves stays in its pools (M5)": PlantedBug(bugs.leaves_ghosts, EveryStoreKeyHasALivingOwner, 30, 13),
    "a release is forgotten now and then": PlantedBug(
        lambda: replaced(queue=bugs.ForgetsReleases), EveryStoreKeyHasALivingOwner, 5, 2
    ),
    "a job keeps its slot after offline, resubmit, cancel": PlantedBug(
        lambda: replaced(dispatcher=LeaksASlotAfterAResubmit), EveryStoreKeyHasALivingOwner, 20, 17
    ),
    "a map keeps its entries (M7)": PlantedBug(
        lambda: replaced(job_table=bugs.KeepsRequestIds), EveryTableIsEmptyAtTheEnd, 3, 1
    ),
    "ages count from the submit (M2)": PlantedBug(lambda: replaced(job_table=bugs.AgesFromNowhere), LittlesLaw, 3, 1),
    "a stale allocation is only released (R22)": PlantedBug(
        lambda: replaced(dispatcher=bugs.OnlyReleasesStaleAllocations), AllocationsGoToTheirGeneration, 10, 2
    ),
    "a stale allocation is sent (R22)": PlantedBug(
        lambda: replaced(dispatcher=bugs.SendsStaleAllocations), AllocationsGoToTheirGeneration, 20, 5
    ),
    "a failed job does not pause": PlantedBug(lambda: replaced(dispatcher=bugs.DoesNotPause), AFailedJobPauses, 10, 5),
    "busy nodes do not rest (R24)": PlantedBug(
        lambda: replaced(node_events=bugs.BusyNodesDoNotRest), ABusyNodeRests, 30, 11
    ),
    "a pair keeps its empty queue": PlantedBug(
        lambda: replaced(waiting=bugs.KeepsEmptyQueues), EveryTableIsEmptyAtTheEnd
    ),
    "a busy node rests for ever": PlantedBug(
        lambda: replaced(node_registry=bugs.RestsForEver), EveryTableIsEmptyAtTheEnd
    ),
    "a node that comes back is drained": PlantedBug(
        lambda: replaced(node_registry=bugs.DrainsWhoComesBack), EveryTableIsEmptyAtTheEnd
    ),
    "the answer UNKNOWN is ignored (R6)": PlantedBug(
        lambda: replaced(node_registry=HearsNoUnknown), EveryTableIsEmptyAtTheEnd
    ),
    "leases are never swept": PlantedBug(lambda: replaced(leases=bugs.NeverSweeps), EveryTableIsEmptyAtTheEnd),
    "a slot is never released": PlantedBug(
        lambda: replaced(dispatcher=bugs.DoesNotRelease), EveryStoreKeyHasALivingOwner
    ),
    "a redispatched job is not queued": PlantedBug(
        lambda: replaced(dispatcher=bugs.ForgetsToQueue), EveryTableIsEmptyAtTheEnd
    ),
    "the jobs of a node that leaves are not taken back": PlantedBug(
        lambda: replaced(node_events=bugs.DoesNotTakeBack), NothingIsLost
    ),
}


class Found(NamedTuple):
    """The first seed in which the intended checker found a bug (0 = none), and the sentences of all checkers."""

    seed: int
    sentences: tuple[str, ...]


def find(bug: PlantedBug) -> Found:
    """Run seeds until the intended checker finds `bug`, at most `bug.seeds`."""
    reported: set[str] = set()
    for seed in sorted(range(1, bug.seeds + 1), key=lambda seed: seed != bug.known):
        found = {line.split(":")[0] for line in play_seed(seed, variant=bug.make()).broken}
        reported |= found
        if bug.checker.sentence in found:
            return Found(seed, tuple(sorted(reported)))
    return Found(0, tuple(sorted(reported)))


def main() -> None:
    """Print the table."""
    print("| planted bug | intended checker | found in seed | at most | other findings until then |")
    print("|---|---|---|---|---|")
    for name, bug in PLANTED.items():
        if not bug.seeds:
            continue
        seed, sentences = find(bug)
        others = "; ".join(sentence for sentence in sentences if sentence != bug.checker.sentence)
        print(f"| {name} | {bug.checker.sentence} | {seed or 'not found'} | {bug.seeds} | {others} |", flush=True)


if __name__ == "__main__":
    main()
