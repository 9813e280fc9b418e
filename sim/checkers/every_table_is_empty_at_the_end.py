from __future__ import annotations

from typing import TYPE_CHECKING

from voxpool.scheduler.core.admission.intake import PAIRS_GONE_MAX
from voxpool.scheduler.core.admission.wait_times import PLACES_MAX
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.script_queue import OUTAGES_MAX
from voxpool.sim.checkers.base import Checker
from voxpool.sim.observing.census import entries

if TYPE_CHECKING:
    from voxpool.sim.world.world import World

SESSIONS = "dispatcher.affinity._nodes"
"""Hints, bounded by sessions_max; they need not be empty."""
OUTAGES = "intake._outages._past"
"""Recent outages of the store."""
HINTS = {"intake._pairs": PAIRS_GONE_MAX, "intake._gone": PAIRS_GONE_MAX, "intake._returns._places": PLACES_MAX}
"""Records of pairs without nodes and of refused submits, each bounded separately."""
NODE_DEADLINES = ("node_registry._deadlines._keys", "node_registry._deadlines._things")
A_NODE: dict[str, int] = {
    "node_registry.nodes": 1,
    **dict.fromkeys(NODE_DEADLINES, 1),
    "queue._beats": 1,  # the call-backs of the last heartbeat call
}
"""Entries that may remain for each connected node."""
HEAP = "._deadlines._heap"
"""Heap entries that are numbers; some remain when nothing is due (clock.py)."""
SPARE = {"_tasks": 4, "queue._beats": 1}
"""Entries that may remain without any node: the roles, and the last heartbeats."""


class EveryTableIsEmptyAtTheEnd(Checker):
    """After drain and grace no container of the scheduler has entries of jobs, and the store has exactly the connected
    nodes of the scheduler. During the run each container stays within its bound.
    """

    sentence = "every table is empty after drain and grace"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._jobs_max = world.settings.jobs_max
        self._finished_max = world.settings.finished_max
        if not world.settings.cleanup_interval_s:
            self.not_checked = "the sweep is off (cleanup_interval_s = 0)"

    def scheduler_built(self) -> None:
        self._table = self.world.core.table

    def job_submitted(self, job: Job) -> None:
        table = self._table
        if table.unfinished > self._jobs_max or (self._finished_max and table.finished > self._finished_max):
            self.broke(f"past its bound: {table!r}")

    def recount(self) -> None:
        """Compare the counts of the table with its content."""
        core = self.world.core
        counts = entries(core)
        by_id, by_request = counts.get("table._by_id", 0), counts.get("table._by_request", 0)
        self.expect(
            by_id == by_request + core.table.begun_anew == len(core.table),
            f"{by_id} jobs by id, {by_request} by request, {core.table.begun_anew} begun anew: {core.table!r}",
        )
        counted = core.intake.unfinished
        self.expect(counted == core.table.unfinished, f"the flows of the pairs have {counted} jobs: {core.table!r}")
        deadlines = len(core.timeouts.deadlines)
        self.expect(deadlines <= core.table.unfinished, f"{deadlines} deadlines of jobs: {core.table!r}")
        sessions = counts.get(SESSIONS, 0)
        self.expect(sessions <= self.world.settings.sessions_max, f"{sessions} sessions are remembered")

    def at_end(self) -> None:
        world, core = self.world, self.world.core
        settings = world.settings
        nodes = len(core.node_registry)
        limits = {name: each * nodes + SPARE.get(name, 0) for name, each in A_NODE.items()}
        limits["_tasks"] = SPARE["_tasks"]
        limits["node_registry.nodes.pairs"] = sum(len(node.pairs) for node in core.node_registry.nodes.values())
        limits[SESSIONS] = settings.sessions_max
        limits[OUTAGES] = 2 * OUTAGES_MAX  # each is a pair
        limits |= HINTS
        self.expect(core.intake.unfinished == 0, f"the flows of the pairs have {core.intake.unfinished} jobs")
        for name, count in entries(core).items():
            if name.startswith("table.") and self.not_checked:
                continue
            if name.endswith(HEAP):
                continue
            limit = limits.get(name, 0)
            self.expect(count <= limit, f"{count} entries are left in {name}, at most {limit} may be")
        self.expect(not world.clients.open and not world.clients.by_job, "clients still wait")
        self._look_at_the_store()

    def _look_at_the_store(self) -> None:
        node_registry = self.world.core.node_registry
        state = self.world.store_dump()
        for family in ("leases", "nodes"):
            others = sorted({member for member, _ in state.get(family, [])} ^ set(node_registry.nodes))
            self.expect(not others, f"the {family!r} of the store and the connected nodes differ in {others[:5]}")
        for node_id, record in state.get("nodes", []):
            node = node_registry.find(node_id)
            if node is None:
                continue
            generation, _, _, flags, _ = record.split("|")
            is_the_same = (generation, flags) == (node.generation, node.flags)
            self.expect(is_the_same, f"the store has {record} of {node!r}, flags {node.flags!r}")
            is_asked = not self.world.node(node_id).is_whole
            self.expect(is_asked or not node.draining, f"{node!r} drains, without a request")
        for family in ("held", "reservations", "due"):
            left = len(state.get(family, []))
            self.expect(left == 0, f"{left} entries of {family!r} are left in the store")
