"""The 'with' sides of the experiment `orphans`: production's core and scripts in the simulated world."""

from __future__ import annotations

from typing import Any

from voxpool.scheduler.core.composition import CoreClasses
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.jobs.job_table import JobTable
from voxpool.scheduler.core.scripts import Want, register_node, select_node
from voxpool.sim.chance.distributions import Even
from voxpool.sim.checkers import CHECKERS, Checker
from voxpool.sim.experiments.orphans.size import Figures, Size
from voxpool.sim.experiments.processes import Tell
from voxpool.sim.observing.census import entries
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.scenario.scenario import Nodes, Scenario, Traffic
from voxpool.sim.virtual_time.errors_fatal import RunFailed
from voxpool.sim.world.run import set_up
from voxpool.sim.world.variant import Variant
from voxpool.sim.world.world import World

OTHER = "s0"
"""The instance name of the dead scheduler."""


def _world(size: Size, seed: int, store: str, checkers: tuple[type[Checker], ...] = CHECKERS, **more: Any) -> World:
    settings = {
        "heartbeat_s": size.heartbeat_s,
        "lease_s": size.lease_s,
        "cleanup_interval_s": size.interval_s,
        "retention_s": size.retention_s,
    }
    return World(seed=seed, settings=settings, store=store, checkers=checkers, **more)


def churn(size: Size, seed: int, store: str, tell: Tell) -> Figures:
    """M4: nodes with new ids register and vanish; count their entries in the store after the last lease."""
    world = _world(size, seed, store)
    alive: list[tuple[float, Any]] = []
    for number in range(size.nodes):
        world.run_to(number * size.churn_gap_s)
        while alive and alive[0][0] <= world.env.now:
            world.do(alive.pop(0)[1].vanish)
        (node,) = world.add_nodes(1, [size.pair])
        alive.append((world.env.now + size.churn_life_s, node))
        tell(number / size.nodes)
    for at_s, node in alive:
        world.run_to(at_s)
        world.do(node.vanish)
    world.run(for_s=size.lease_s + size.after_s)
    left = world.store.census()
    broken = world.broken_checkers()
    world.stop()
    return {"ids": sum(left.values()), "broken": len(broken)}


def ghosts(size: Size, seed: int, store: str, tell: Tell) -> Figures:
    """M5: half of the nodes vanish here, half belong to a dead scheduler; no traffic."""
    world = _world(size, seed, store)
    here = world.add_nodes(size.nodes // 2, [size.pair])
    lease_ms = round(1000 * size.lease_s)
    now_ms = world.clock.now_ms()
    world.store.run_now(
        [
            register_node(
                now_ms, lease_ms, f"old-{i + 1}", f"{OTHER}-{i + 1}", f"old-{i + 1}.1", 1, "", [size.pair], "", []
            )
            for i in range(size.nodes - len(here))
        ]
    )
    world.run(for_s=1.0)
    known = world.store.census()["capacity"]
    for node in here:
        world.do(node.vanish)
    tell(0.5)
    world.run(for_s=size.lease_s + size.after_s)
    left = world.store.census()
    world.stop()
    return {
        "known": known,
        "ghosts": left["capacity"],
        "without_owner": sum(count for family, count in left.items() if family != "capacity"),
    }


class _Sweeps(Watcher):
    """Counts sweeps that removed nothing although a job's retention had ended."""

    def __init__(self, world: World, retention_s: float) -> None:
        self.jobs: dict[str, Job] = {}
        self.sweeps = self.in_vain = 0
        self._world = world
        self._retention_ms = round(1000 * retention_s)

    def job_ended(self, job: Job) -> None:
        self.jobs[job.job_id] = job

    def job_removed(self, job: Job) -> None:
        del self.jobs[job.job_id]

    def swept(self, removed: int, pause_ms: float) -> None:
        self.sweeps += 1
        before_ms = self._world.clock.now_ms() - self._retention_ms
        self.in_vain += any(job.ended_ms < before_ms for job in self.jobs.values())


class _Raises(JobTable):
    """A table with a planted error in the sweep."""

    def remove_ended_before(self, before_ms: int) -> Job | None:
        raise RuntimeError("planted")


def bindings(size: Size, seed: int, store: str, tell: Tell) -> Figures:
    """M6: an hour of jobs; the store has no entry per ended job, sweeps remove due jobs, errors are reported."""
    world = _world(size, seed, store, is_traced=False)
    sweeps = _Sweeps(world, size.retention_s)
    world.hub.add([sweeps])
    set_up(
        world,
        Scenario(
            name="bindings",
            duration_s=size.bindings_s,
            nodes=[Nodes(count=10, pairs=[size.pair])],
            traffic=[Traffic(pair=size.pair, rate_per_s=size.bindings_rate_per_s, work_s=Even(1.0))],
        ),
    )
    parts = 10
    for part in range(parts):
        world.run_to(size.bindings_s * (part + 1) / parts)
        tell(0.9 * (part + 1) / parts)
    world.drain()
    world.run_until(lambda: world.core.queue.idle)
    census = world.store.census()
    world.stop()
    return {
        "bindings": census["held"] + census["reservations"] + census["due"],
        "in_vain": 100.0 * sweeps.in_vain / sweeps.sweeps if sweeps.sweeps else float("nan"),
        "unheard": _unheard(size, seed, store),
    }


def _unheard(size: Size, seed: int, store: str) -> int:
    """Plant an error in the first sweep; return 1 when the run continues without reporting it."""
    variant = Variant("planted error", CoreClasses(job_table=_Raises))
    world = _world(size, seed, store, (), variant=variant, is_traced=False)
    try:
        world.run(for_s=size.interval_s + 1)
    except RunFailed as failed:
        return 0 if str(failed.__cause__) == "planted" else 1
    return 1


def closes(size: Size, seed: int, store: str, tell: Tell) -> Figures:
    """M7: nodes whose socket closes during a job, sessions without a goodbye; count their entries in the core."""
    world = _world(size, seed, store, (), is_traced=False)
    world.add_nodes(4, [size.pair], slots=size.closes_a_batch, name="stable")
    before: dict[str, int] = {}
    for _ in range(20):  # over more than a heartbeat: the maximum that the stable nodes need
        world.run(for_s=1.0)
        for path, count in entries(world.core).items():
            before[path] = max(count, before.get(path, 0))
    half = size.closes_a_batch // 2
    for batch in range(size.closes // size.closes_a_batch):
        nodes = world.add_nodes(half, [size.pair], slots=2)
        world.run(for_s=0.1)
        sessions = [f"session-{batch}-{i}" for i in range(half)]
        for session_id in sessions:
            world.submit(size.pair, work_s=0.5, session_id=session_id, affinity=True)
        world.run(for_s=0.2)
        for node in nodes:
            world.do(node.crash)
        for session_id in sessions:
            world.do(world.core.dispatcher.session_closed, session_id)
        world.run(for_s=1.0)
        for session_id in sessions:  # a result that crossed the end of its session may have recreated it
            world.do(world.core.dispatcher.session_closed, session_id)
        tell(batch * size.closes_a_batch / size.closes)
    # The nodes stay dead; only time passes, past the end of retention.
    world.run_until(lambda: not world.clients.open)
    world.run(for_s=size.retention_s + size.interval_s + size.lease_s + 1)
    after = entries(world.core)
    redispatched = world.recorder.redispatched
    world.stop()
    grown = {path: count - before.get(path, 0) for path, count in after.items() if count > before.get(path, 0)}
    return {
        "entries": sum(grown.values()),
        "closes": size.closes,
        "redispatched": redispatched,
        "where": ", ".join(grown),
    }


def crashes(size: Size, seed: int, store: str, tell: Tell) -> Figures:
    """M8: a scheduler reserves every slot and dies before it sends a job; measure how long they stay reserved."""
    world = _world(size, seed, store)
    nodes = world.add_nodes(size.full_nodes, [size.pair], slots=size.slots)
    world.run(for_s=1.0)
    now_ms = world.clock.now_ms()
    settings = world.settings
    due_ms = now_ms + round(1000 * (settings.dispatch_timeout_s + settings.lease_s))
    slots = size.full_nodes * size.slots
    wants = [Want(f"{OTHER}-{i + 1}|1", size.pair, due_ms, "", ()) for i in range(slots)]
    world.store.run_now([select_node(now_ms, seed + 1, settings.choices, settings.removals_max, wants)])
    taken = world.store.census()["held"]
    began_s = world.env.now
    tell(0.2)
    world.run_until(lambda: not world.store.census()["held"], at_most_s=size.full_after_s)
    lost_s = world.env.now - began_s
    job = world.submit(size.pair, work_s=1.0)
    world.run_until(lambda: job.ended)
    held = world.store_dump().get("held", [])
    loads = [sum(member.startswith(f"{node.node_id}|") for member, _ in held) for node in nodes]
    idle = sum(load >= size.slots and not node.running for node, load in zip(nodes, loads, strict=True))
    world.stop()
    return {"full_and_idle": idle, "lost_s": lost_s, "taken": taken, "state": job.state}
