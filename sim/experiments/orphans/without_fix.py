"""The 'without' sides of the experiment `orphans`: the old designs, each on a small keyspace in virtual time."""

from __future__ import annotations

import math

from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.experiments.keyspace import Keyspace
from voxpool.sim.experiments.orphans.size import Figures, Size
from voxpool.sim.experiments.orphans.without.binding_keys import BindingKeys
from voxpool.sim.experiments.orphans.without.node_sets import NodeSets
from voxpool.sim.experiments.orphans.without.slot_counter import SlotCounter
from voxpool.sim.experiments.orphans.without.socket_maps import SocketMaps
from voxpool.sim.experiments.processes import Tell


class _Time:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def churn(size: Size, seed: int, _store: str, tell: Tell) -> Figures:
    """M4: nodes with new ids register, send heartbeats for a while, and go silent."""
    now = _Time()
    nodes = NodeSets(Keyspace(now))
    silent_from = {number: number * size.churn_gap_s + size.churn_life_s for number in range(size.nodes)}
    step_s, end_s = size.heartbeat_s, max(silent_from.values()) + size.lease_s + size.after_s
    registered = 0
    while now.now_s < end_s:
        while registered < size.nodes and registered * size.churn_gap_s <= now.now_s:
            nodes.register(f"gpu-{registered + 1}", [size.pair])
            registered += 1
        for number in range(registered):
            if now.now_s < silent_from[number]:
                nodes.heartbeat(f"gpu-{number + 1}")
        now.now_s += step_s
        tell(now.now_s / end_s)
    return {"ids": nodes.ids()}


def ghosts(size: Size, seed: int, _store: str, tell: Tell) -> Figures:
    """M5: all nodes die at once, and there is no traffic that would find them."""
    now = _Time()
    keyspace = Keyspace(now)
    nodes = NodeSets(keyspace)
    for number in range(size.nodes):
        nodes.register(f"gpu-{number + 1}", [size.pair])
    now.now_s += size.lease_s + size.after_s
    tell(1.0)
    return {"ghosts": nodes.ghosts(), "without_owner": nodes.without_owner()}


def bindings(size: Size, seed: int, _store: str, tell: Tell) -> Figures:
    """M6: an hour of jobs with a binding key each, swept every minute."""
    now = _Time()
    jobs = BindingKeys(Keyspace(now))
    running: list[tuple[float, str]] = []
    jobs_in_all = round(size.bindings_s * size.bindings_rate_per_s)
    next_sweep_s = size.interval_s
    for number in range(jobs_in_all):
        now.now_s = (number + 1) / size.bindings_rate_per_s
        jobs.dispatch(f"s1-{number + 1}", f"gpu-{number % 10 + 1}")
        running.append((now.now_s + 1.0, f"s1-{number + 1}"))
        while running and running[0][0] <= now.now_s:
            ended_s, job_id = running.pop(0)
            jobs.finish(job_id, ended_s)
        if now.now_s >= next_sweep_s:
            next_sweep_s += size.interval_s
            jobs.sweep(now.now_s)
        if number % 100 == 0:
            tell(number / jobs_in_all)
    overdue_sweeps = jobs.sweeps - int((size.retention_s + 1) // size.interval_s)
    return {
        "bindings": jobs.bindings(),
        "in_vain": 100.0 * jobs.sweeps_in_vain / overdue_sweeps if overdue_sweeps > 0 else float("nan"),
        "unheard": jobs.errors_swallowed,
    }


def closes(size: Size, seed: int, _store: str, tell: Tell) -> Figures:
    """M7: sockets that close without a goodbye."""
    maps = SocketMaps()
    for number in range(size.closes):
        session_id = f"session-{number + 1}"
        maps.opened(session_id, object())
        maps.chunk(session_id, 0, b"audio")
        maps.closed(session_id)
    tell(1.0)
    return {"entries": maps.entries(), "closes": size.closes}


def crashes(size: Size, seed: int, _store: str, tell: Tell) -> Figures:
    """M8: a scheduler dies between reserving a slot of a random node and writing the job, several times."""
    now = _Time()
    counter = SlotCounter(Keyspace(now), size.slots)
    chance = plain_random(seed, "crashes")
    nodes = [f"gpu-{number + 1}" for number in range(size.full_nodes)]
    lost = 0
    while lost < size.full_nodes * size.slots:
        node_id = chance.choice(nodes)
        job_id = f"s1-{now.now_s}"
        if counter.reserve(node_id):
            if chance.random() < size.crash_share:
                lost += 1  # it dies here: the slot is neither committed nor released
            else:
                counter.commit(node_id, job_id)
                counter.finish(job_id)
        now.now_s += 1.0
        tell(lost / (size.full_nodes * size.slots))
    now.now_s += size.full_after_s
    idle = sum(counter.full(node_id) and not counter.runs(node_id) for node_id in nodes)
    return {"full_and_idle": idle, "lost_s": math.inf}
