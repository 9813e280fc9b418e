"""The scenarios of `faults` about nodes and their records in the store: defects R6, R14, R15, R22 to R24."""

from __future__ import annotations

import math

from voxpool.scheduler.core.scripts import register_node
from voxpool.scheduler.protocol.messages import Assign, Register
from voxpool.scheduler.stores.memory import MemoryStore
from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.checkers.allocations_go_to_their_generation import AllocationsGoToTheirGeneration
from voxpool.sim.experiments.faults.without.nodes import RepeatsReleases
from voxpool.sim.experiments.rows import Figures, Stage
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.world.clients import Request
from voxpool.sim.world.links import Connection
from voxpool.sim.world.nodes import SimNode
from voxpool.sim.world.world import World

PAIR, OTHER_PAIR = "zh:en", "en:fr"
PAUSE_S = 46.0
"""One second more than the lease."""
LIVING = 5
"""Connected nodes, beside the store records of gone nodes that R22 leaves."""
BUSY_NODES = 3
"""R24, as it was first observed: with 78 jobs in 30 s."""


def in_pool(world: World) -> set[str]:
    """Return the nodes that can be drawn for PAIR."""
    entries = (member.split("|") for member, _ in world.store_dump().get("capacity", []))
    return {node_id for pair, node_id in entries if pair == PAIR}


def leases_run_out(stage: Stage) -> Figures:
    """R6: nodes are frozen for 46 s, at staggered times, and then resumed."""
    world = stage.world(delay_ms=1.0)
    nodes = world.add_nodes(stage.size.nodes, [PAIR])
    world.run(for_s=20)
    for node in nodes:
        world.do(node.freeze)
        world.run(for_s=0.1)
    world.run(for_s=PAUSE_S + world.settings.heartbeat_s)
    thawed_s = world.env.now
    for node in nodes:
        world.do(node.thaw)
    back_s = 0.0
    for node in nodes:
        try:
            world.run_until(lambda node=node: node.node_id in in_pool(world), at_most_s=200.0)  # type: ignore[misc]
            back_s = max(back_s, world.env.now - thawed_s)
        except TimeoutError:
            back_s = math.inf
            break
    figures: Figures = {"back_s": back_s}
    stage.end(world)
    return figures


def store_is_flushed(stage: Stage) -> Figures:
    """R6: the store loses all data while all nodes are connected."""
    world = stage.world(store="memory")
    nodes = world.add_nodes(stage.size.nodes, [PAIR])
    world.run(for_s=20)
    assert isinstance(world.store, MemoryStore)
    world.store.clear()
    world.hub.store_emptied()
    world.run(for_s=world.settings.heartbeat_s + 1)
    lost = len(nodes) - len(in_pool(world))
    job = world.submit(PAIR, work_s=1.0)
    world.run(for_s=20)
    figures: Figures = {"lost": lost, "job": job.state}
    stage.end(world)
    return figures


class _Foreign(Watcher):
    """Counts assigns of pairs that the node doesn't serve."""

    def __init__(self) -> None:
        self.assigns = self.foreign = 0
        self.serves: dict[str, list[str]] = {}

    def assign_sent(self, request: Request, connection: Connection, assign: Assign) -> None:
        assert connection.node is not None
        self.assigns += 1
        self.foreign += assign.pair not in self.serves[connection.node.node_id]


def registers_with_fewer_pairs(stage: Stage) -> Figures:
    """R14: half of the nodes register again without one of their pairs; jobs of that pair continue to arrive."""
    world = stage.world()
    seen = _Foreign()
    world.hub.add([seen])
    nodes = world.add_nodes(stage.size.nodes, [PAIR, OTHER_PAIR], slots=4)
    world.run(for_s=1)
    for node in nodes[::2]:
        node.pairs = [PAIR]
        assert node.connection is not None
        world.do(node.connection.to_scheduler, Register(node.node_id, f"{node.node_id}.1", [PAIR], 4, []))
    world.run(for_s=1)
    seen.serves = {node.node_id: node.pairs for node in nodes}
    for _ in range(stage.size.jobs):
        world.submit(OTHER_PAIR, work_s=0.5)
        world.run(for_s=0.2)
    world.run(for_s=5)
    figures: Figures = {"foreign": seen.foreign, "assigns": seen.assigns}
    stage.end(world)
    return figures


def nodes_come_later(stage: Stage) -> Figures:
    """R15: jobs of many pairs arrive 1 to 9 s before a node of their pair, within the waiting timeout."""
    world = stage.world()
    chance = plain_random(stage.seed, "arrivals")
    count = stage.size.nodes
    jobs = [world.submit(f"p{number}:en", work_s=1.0) for number in range(count)]
    arrivals = sorted((1 + 8 * chance.random(), number) for number in range(count))
    for at_s, number in arrivals:
        world.run_to(at_s)
        world.add_nodes(1, [f"p{number}:en"], name=f"late{number}")
    world.run(for_s=30)
    figures: Figures = {"failed": sum(job.state == "failed" for job in jobs)}
    stage.end(world)
    return figures


def leftovers_are_drawn(stage: Stage) -> Figures:
    """R22: nodes of a dead scheduler stay in the store until their leases end, while jobs arrive."""
    stale = 0
    for run in range(stage.size.runs):
        world = stage.world(run=run, counts=AllocationsGoToTheirGeneration, store_delay_ms=0.5)
        now_ms, lease_ms = world.clock.now_ms(), round(1000 * world.settings.lease_s)
        for number in range(stage.size.leftovers):
            call = register_node(
                now_ms, lease_ms, f"dead-{number}", f"s0-{number}", f"dead-{number}.1", 1, "", [PAIR], "", []
            )
            world.hub.calls_run([call], world.store.run_now([call]))
        world.add_nodes(LIVING, [PAIR])
        world.run(for_s=1)
        for _ in range(400):
            world.submit(PAIR, work_s=0.4)
            world.run(for_s=0.1)
        world.run(for_s=20)
        stale += world.recorder.stale_allocations
        stage.end(world)
        stage.tell(run / stage.size.runs)
    figures: Figures = {"stale": stale}
    return figures


def allocations_cross_registers(stage: Stage) -> Figures:
    """R22: nodes register again on the same connection while an allocation for them is in transit from the store."""
    world = stage.world(counts=AllocationsGoToTheirGeneration, store_delay_ms=20.0)
    nodes = world.add_nodes(stage.size.nodes, [PAIR])
    world.run(for_s=2)
    for _ in range(stage.size.jobs // 10):
        world.submit(PAIR, work_s=1.0)
        world.run(for_s=0.03)
        for node in nodes:
            assert node.connection is not None
            register = Register(node.node_id, f"{node.node_id}.1", [PAIR], 1, [])
            world.do(node.connection.to_scheduler, register)
        world.run(for_s=3)
    figures: Figures = {
        "sent": stage.broken_in(world, AllocationsGoToTheirGeneration),
        "stale": world.recorder.stale_allocations,
    }
    stage.end(world)
    return figures


class _AboveTheSlots(Watcher):
    """Counts assigns to nodes without a free slot."""

    def __init__(self) -> None:
        self.assigns = self.above = 0

    def assign_sent(self, request: Request, connection: Connection, assign: Assign) -> None:
        node = connection.node
        assert node is not None
        self.assigns += 1
        self.above += len(node.reservations) > node.slots


def attempt_numbers_come_again(stage: Stage) -> Figures:
    """R23: nodes crash often under load, and each release is repeated later, as after a lost answer."""
    stage.add_classes(queue=RepeatsReleases)
    world = stage.world(delay_ms=2.0, store_delay_ms=2.0, settings={"attempts_max": 20})
    seen = _AboveTheSlots()
    world.hub.add([seen])
    nodes: list[SimNode] = world.add_nodes(stage.size.nodes, [PAIR], slots=2)
    world.run(for_s=2)
    chance = plain_random(stage.seed, "crashes")
    for _ in range(stage.size.jobs):
        for _ in range(stage.size.nodes // 5):
            world.submit(PAIR, work_s=0.2 + 4 * chance.random())
        node = nodes[int(chance.random() * len(nodes))]
        if node.is_whole:
            world.do(node.crash)
            world.run(for_s=0.2)
            world.do(node.start)
        world.run(for_s=0.3)
    world.run(for_s=60)
    figures: Figures = {"above": seen.above, "assigns": seen.assigns}
    stage.end(world)
    return figures


def all_are_busy(stage: Stage) -> Figures:
    """R24: all nodes answer busy for half a minute while jobs arrive."""
    # Jobs wait as long as the nodes are busy: with a shorter timeout most of them would be refused as overload.
    settings = {"waiting_timeout_s": 10 * stage.size.busy_s}
    world = stage.world(delay_ms=0.5, store_delay_ms=0.25, settings=settings)
    seen = _AboveTheSlots()
    world.hub.add([seen])
    nodes = world.add_nodes(BUSY_NODES, [PAIR])
    world.run(for_s=1)
    for node in nodes:
        node.busy = True
    jobs = stage.size.words["busy_jobs"]
    for number in range(jobs):
        world.submit(PAIR, work_s=0.1)
        world.run(for_s=stage.size.busy_s / jobs)
        stage.tell(number / jobs)
    assigns = seen.assigns
    for node in nodes:
        node.busy = False
    world.run(for_s=20)
    figures: Figures = {"assigns": assigns, "a_node_second": assigns / BUSY_NODES / stage.size.busy_s}
    stage.end(world)
    return figures
