from __future__ import annotations

from scheduler.job import DISPATCHED
from sim.checkers.base import Checker


class EveryStoreKeyHasALivingOwner(Checker):
    """Whatever stands in the store belongs to a node with a lease or to an attempt that goes on; a hold of a scheduler
    that died goes with its node's next register, or at its due time.
    """

    sentence = "every store key has a living owner"

    def recount(self) -> None:
        state = self.world.store_dump()
        core = self.world.core
        nodes = {member for member, _ in state.get("about", [])}
        leases = {member for member, _ in state.get("leases", [])}
        self.expect(nodes <= leases, f"nodes without a lease: {sorted(nodes - leases)[:5]}")
        for node_id in sorted(leases):
            if core.fleet.find(node_id) is None:
                score = next(float(end) for member, end in state["leases"] if member == node_id)
                late_ms = self.world.clock.now_ms() - score
                self.expect(
                    late_ms <= self.world.orphan_ms,
                    f"{node_id} isn't connected and its lease ended {late_ms / 1000:.1f} s ago",
                )
        for member, _ in state.get("free", []):
            node_id = member.split("|", 1)[1]
            self.expect(node_id in nodes, f"a pool has a ghost: {member}")
        holds = {member for member, _ in state.get("holds", [])}
        due = {member for member, _ in state.get("due", [])}
        held = {member.split("|", 1)[1] for member, _ in state.get("held", [])}
        self.expect(
            holds == due == held, f"holds without a due time or a node: {sorted((holds ^ due) | (held ^ due))[:5]}"
        )
        due_ms = {member: float(when) for member, when in state.get("due", [])}
        now_ms = self.world.clock.now_ms()
        for hold in sorted(holds):
            job_id, attempt = hold.split("|")
            if not job_id.startswith(f"{self.world.instance}-") and now_ms < due_ms[hold] + self.world.orphan_ms:
                continue
            job = core.dispatcher.find(job_id)
            self.expect(
                job is not None and job.state == DISPATCHED and job.attempt == int(attempt),
                f"hold {hold} has no attempt that goes on: {job!r}",
            )

    def at_end(self) -> None:
        self.recount()
