"""Which checker must find which planted bug, and within how many seeds of the small swarm.

`python -m voxpool.sim.planted.table` plays them and prints the table of canaries and of all checkers that bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from voxpool.sim.checkers import (
    ABusyNodeRests,
    AFailedJobPauses,
    ALiveNodeWithRoomIsFound,
    AnOldResultChangesNothing,
    AttemptsAreBounded,
    Checker,
    EveryRequestEndsOnce,
    EveryStoreKeyHasALivingOwner,
    EveryTableIsEmptyAtTheEnd,
    GrantsGoToTheirGeneration,
    LittlesLaw,
    NoHoldBeyondTheSlots,
    NoNodeIdlesBesideAWaitingJob,
    NothingIsLost,
    OneAssignmentAnAttempt,
    TheChosenNodeServesThePair,
)
from voxpool.sim.planted import bugs as canaries
from voxpool.sim.planted.bugs import replaced
from voxpool.sim.swarm.one_seed import play_seed
from voxpool.sim.world.variant import Variant


class Canary(NamedTuple):
    """A planted bug, the checker that is meant for it, and the seeds from 1 on that it must be found within."""

    make: Callable[[], Variant]
    checker: type[Checker]
    seeds: int
    known: int
    """The seed that found it when this was written: it is played first, the others only when it finds nothing."""


CANARIES: dict[str, Canary] = {
    "an end is told twice": Canary(lambda: replaced(dispatcher=canaries.TellsTwice), EveryRequestEndsOnce, 3, 1),
    "a request id makes two jobs (R12)": Canary(
        lambda: replaced(job_table=canaries.ForgetsRequestIds), EveryRequestEndsOnce, 10, 2
    ),
    "a failed job has no end": Canary(lambda: replaced(dispatcher=canaries.NeverTells), NothingIsLost, 3, 1),
    "a failed job is not counted": Canary(
        lambda: replaced(job_table=canaries.LosesTrackOfFailures), NothingIsLost, 3, 1
    ),
    "every job is sent twice (R9)": Canary(
        lambda: replaced(dispatcher=canaries.SendsTwice), OneAssignmentAnAttempt, 5, 2
    ),
    "attempt numbers are used again (R23)": Canary(
        lambda: replaced(dispatcher=canaries.ReusesAttemptNumbers), OneAssignmentAnAttempt, 5, 2
    ),
    "redispatches are not counted (R3)": Canary(
        lambda: replaced(dispatcher=canaries.NeverCounts), AttemptsAreBounded, 20, 6
    ),
    "any result counts (R4)": Canary(
        lambda: replaced(node_events=canaries.TakesAnyAttempt), AnOldResultChangesNothing, 20, 6
    ),
    "full nodes are chosen": Canary(canaries.overfills, NoHoldBeyondTheSlots, 5, 2),
    "holds are never freed (M8)": Canary(canaries.keeps_holds, NoHoldBeyondTheSlots, 5, 2),
    "the pair is not looked at (C7)": Canary(
        lambda: replaced(dispatcher=canaries.GivesToWhoeverIsThere), TheChosenNodeServesThePair, 10, 3
    ),
    "a node keeps its old pools (R14)": Canary(canaries.keeps_old_pools, TheChosenNodeServesThePair, 25, 8),
    "one draw and no other (C1)": Canary(canaries.draws_once, ALiveNodeWithRoomIsFound, 20, 5),
    "nobody spoils what crossed it (R21)": Canary(
        lambda: replaced(waiting=canaries.ForgetsWhatCrossed), NoNodeIdlesBesideAWaitingJob, 10, 2
    ),
    "a flush without an answer is given up": Canary(
        lambda: replaced(queue=canaries.DropsAFailedFlush), NoNodeIdlesBesideAWaitingJob, 10, 2
    ),
    "a node that leaves stays in its pools (M5)": Canary(canaries.leaves_ghosts, EveryStoreKeyHasALivingOwner, 30, 13),
    "a release is forgotten now and then": Canary(
        lambda: replaced(queue=canaries.ForgetsReleases), EveryStoreKeyHasALivingOwner, 5, 2
    ),
    "a map keeps its entries (M7)": Canary(
        lambda: replaced(job_table=canaries.KeepsRequestIds), EveryTableIsEmptyAtTheEnd, 3, 1
    ),
    "ages count from the submit (M2)": Canary(lambda: replaced(job_table=canaries.AgesFromNowhere), LittlesLaw, 3, 1),
    "a void grant is only released (R22)": Canary(
        lambda: replaced(dispatcher=canaries.OnlyReleasesVoidGrants), GrantsGoToTheirGeneration, 10, 2
    ),
    "a void grant is sent (R22)": Canary(
        lambda: replaced(dispatcher=canaries.SendsVoidGrants), GrantsGoToTheirGeneration, 20, 5
    ),
    "a failed job does not pause": Canary(lambda: replaced(dispatcher=canaries.DoesNotPause), AFailedJobPauses, 10, 5),
    "busy nodes do not rest (R24)": Canary(
        lambda: replaced(node_events=canaries.BusyNodesDoNotRest), ABusyNodeRests, 30, 11
    ),
}


class Bite(NamedTuple):
    """What came of a canary: the first seed in which the checker meant for it bit (0 = none), and who else did."""

    seed: int
    sentences: tuple[str, ...]


def bite(canary: Canary) -> Bite:
    """Play seeds until the checker that is meant for `canary` finds it, at most as many as are stated."""
    bitten: set[str] = set()
    for seed in sorted(range(1, canary.seeds + 1), key=lambda seed: seed != canary.known):
        found = {line.split(":")[0] for line in play_seed(seed, variant=canary.make()).broken}
        bitten |= found
        if canary.checker.sentence in found:
            return Bite(seed, tuple(sorted(bitten)))
    return Bite(0, tuple(sorted(bitten)))


def main() -> None:
    """Print the table."""
    print("| planted bug | checker meant for it | found in seed | at most | other findings until then |")
    print("|---|---|---|---|---|")
    for name, canary in CANARIES.items():
        seed, sentences = bite(canary)
        others = "; ".join(sentence for sentence in sentences if sentence != canary.checker.sentence)
        print(f"| {name} | {canary.checker.sentence} | {seed or 'not found'} | {canary.seeds} | {others} |", flush=True)


if __name__ == "__main__":
    main()
