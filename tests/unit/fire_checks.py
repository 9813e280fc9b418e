"""What must be true of a core under fire (fire.py), at any moment, at quiet ones, and when all is healed.

Each is a sentence; test_core_under_fire.py plants a bug for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxpool.scheduler.core.jobs.job import DISPATCHED, Job

if TYPE_CHECKING:
    from tests.unit.fire import Story

BEYOND_SLOTS = "no node is assigned more jobs than it has slots"
SENT_ONCE = "an attempt is sent once"
RESERVATIONS_AGREE = "a job is dispatched if, and only if, a connected node holds it"
STORE_AGREES = "at a quiet moment the store has the reservations that the scheduler has"
NOBODY_IDLE = "at a quiet moment no job waits beside a node with room"
NEVER_QUIET = "with a healthy store all questions are answered while no time passes"
NOT_HEALED = "after healing new jobs are completed"
ALL_ENDED = "after healing every job has ended"
TOLD_ONCE = "the sink heard of each job once"
NO_RESERVATION_LEFT = "with no job left no reservation is left in the store"
NO_GHOST_LEFT = "after a lease and a sweep the store knows no node that is not connected"
ALL_KNOWN = "after a lease and a sweep the store knows all connected nodes"
NO_POOL_LEFT = "with no job waiting no pool is left"


class Broken(AssertionError):
    """One of the sentences is not true."""

    def __init__(self, sentence: str, detail: str) -> None:
        super().__init__(f"not true that {sentence}: {detail}")
        self.sentence = sentence
        self.detail = detail


def at_any_moment(story: Story) -> None:
    """Between two steps."""
    dispatched = {
        (job.job_id, job.attempt, job.node_id) for job in story.unfinished.values() if job.state == DISPATCHED
    }
    held = {(job.job_id, job.attempt, node_id) for node_id, job in _held(story)}
    demand(dispatched == held, RESERVATIONS_AGREE, f"{sorted(dispatched ^ held)}")


def at_a_quiet_moment(story: Story) -> None:
    """Nothing is asked of the store: what it says and what the scheduler thinks must be the same.

    Only of nodes that the store knows under their present generation: one that it has lost, with a flush or because
    beats did not reach it, is found by its next beat.
    """
    dump = story.store.dump()
    leases = {node_id: float(end_ms) for node_id, end_ms in dump.get("leases", [])}
    about = {node_id: record.split("|") for node_id, record in dump.get("nodes", [])}
    fleet = story.core.node_registry
    known = {node_id for node_id, node in fleet.nodes.items() if about.get(node_id, [""])[0] == node.generation}
    stored = {(reservation, node_id) for reservation, node_id in dump.get("reservations", []) if node_id in known}
    held = {(job.reservation, node_id) for node_id, job in _held(story) if node_id in known}
    demand(stored == held, STORE_AGREES, f"only there {sorted(stored - held)}, only here {sorted(held - stored)}")

    waiting = {pair for pair, count in story.core.waiting.counts() if count}
    for node_id in known:
        node = fleet.nodes[node_id]
        has_room = len(node.reservations) < node.slots and not (node.draining or node.rest_until_ms)
        beside = waiting.intersection(node.pairs) if has_room and leases[node_id] > story.clock.ms else ()
        demand(not beside, NOBODY_IDLE, f"{node!r} beside {sorted(beside)}, {about[node_id]}")


def when_healed(story: Story) -> None:
    """Nothing has failed for longer than a lease and a sweep."""
    stored = {node_id for node_id, _ in story.store.dump().get("nodes", [])}
    connected = set(story.core.node_registry.nodes)
    demand(stored <= connected, NO_GHOST_LEFT, f"{sorted(stored - connected)}")
    demand(connected == {node.name for node in story.nodes}, ALL_KNOWN, f"connected are {sorted(connected)} only")
    demand(connected <= stored, ALL_KNOWN, f"{sorted(connected - stored)}")


def at_the_end(story: Story) -> None:
    """All is healed, and nothing is left to do."""
    demand(
        not story.unfinished and all(job.ended for job in story.jobs), ALL_ENDED, f"{list(story.unfinished.values())}"
    )
    demand(story.core.table.unfinished == 0, ALL_ENDED, f"{story.core.table!r}")
    wrong = {job.job_id: told for job in story.jobs if (told := story.sink.told[job.job_id]) != 1}
    demand(not wrong, TOLD_ONCE, f"{wrong}")
    dump = story.store.dump()
    demand(not (dump.get("reservations") or dump.get("due")), NO_RESERVATION_LEFT, f"{dump}")
    waiting = story.core.waiting
    demand(len(waiting) == 0 and not list(waiting.counts()), NO_POOL_LEFT, f"{waiting!r}")


def demand(is_true: bool, sentence: str, detail: str) -> None:
    if not is_true:
        raise Broken(sentence, detail)


def _held(story: Story) -> list[tuple[str, Job]]:
    return [
        (node.node_id, job) for node in story.core.node_registry.nodes.values() for job in node.reservations.values()
    ]
