from __future__ import annotations

from typing import TYPE_CHECKING

from voxpool.scheduler.core.jobs.job import DISPATCHED, Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.sim.checkers.base import Checker

if TYPE_CHECKING:
    from voxpool.sim.world.world import World


class EveryStoreKeyHasALivingOwner(Checker):
    """Every entry of the store belongs to a node with a lease or to a current attempt; a reservation of a dead
    scheduler is removed at its node's next register, or at its due time.
    """

    sentence = "every store key has a living owner"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._mirror = world.mirror
        self._given_up: list[str] = []
        """Reservations of ended attempts, which must be removed when no calls to the store are in transit."""
        self._gone: list[Node] = []
        """Nodes that left, which must be removed likewise."""

    def scheduler_built(self) -> None:
        """Exempt calls that a dead scheduler had not sent, until the node registers again or is removed."""
        self._queue = self.world.core.queue
        self._given_up.clear()
        self._gone.clear()
        self._since_ms = self.world.clock.now_ms()
        """Leases and reservations that ended before this time count as ended at it: nobody could remove them before."""

    def store_recovered(self) -> None:
        """Leases that ended while the store was away could not be swept before now."""
        self._since_ms = self.world.clock.now_ms()

    def job_redispatched(self, job: Job, node_id: str, attempt: int, reason: str) -> None:
        self._given_up.append(f"{job.job_id}|{attempt}")

    def job_ended(self, job: Job) -> None:
        self._given_up.append(job.reservation)

    def node_offline(self, node: Node, reason: str) -> None:
        self._gone.append(node)

    def instant_over(self) -> None:
        if (self._given_up or self._gone) and self._queue.idle:
            for reservation in self._given_up:
                if (where := self._mirror.reservations.get(reservation)) is not None:
                    self.broke(f"reservation {reservation} is in the store, its attempt is over: {where}")
            self._given_up.clear()
            for node in self._gone:
                known = self._mirror.nodes.get(node.node_id)
                if known is not None and known.generation == node.generation:
                    self.broke(f"{node!r} left and is in the store")
            self._gone.clear()

    def recount(self) -> None:
        now_ms = self.world.clock.now_ms()
        state = self.world.store_dump()
        core = self.world.core
        nodes = {member for member, _ in state.get("nodes", [])}
        leases = {member for member, _ in state.get("leases", [])}
        self.expect(nodes <= leases, f"nodes without a lease: {sorted(nodes - leases)[:5]}")
        for node_id in sorted(leases):
            if core.node_registry.find(node_id) is None:
                score = next(float(end) for member, end in state["leases"] if member == node_id)
                late_ms = now_ms - max(score, self._since_ms)
                self.expect(
                    late_ms <= self.world.orphan_ms,
                    f"{node_id} isn't connected and its lease ended {late_ms / 1000:.1f} s ago",
                )
        for member, _ in state.get("capacity", []):
            node_id = member.split("|", 1)[1]
            self.expect(node_id in nodes, f"a pool has a ghost: {member}")
        reservations = {member for member, _ in state.get("reservations", [])}
        due = {member for member, _ in state.get("due", [])}
        held = {member.split("|", 1)[1] for member, _ in state.get("held", [])}
        self.expect(
            reservations == due == held,
            f"reservations without a due time or a node: {sorted((reservations ^ due) | (held ^ due))[:5]}",
        )
        due_ms = {member: max(float(when), self._since_ms) for member, when in state.get("due", [])}
        for reservation in sorted(reservations):
            job_id, attempt = reservation.split("|")
            if not job_id.startswith(f"{self.world.instance}-") and now_ms < due_ms[reservation] + self.world.orphan_ms:
                continue
            job = core.dispatcher.find(job_id)
            self.expect(
                job is not None and job.state == DISPATCHED and job.attempt == int(attempt),
                f"reservation {reservation} has no attempt that goes on: {job!r}",
            )

    def at_end(self) -> None:
        self.recount()
