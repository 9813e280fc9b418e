"""Describes the end of an explored execution, and checks it."""

from __future__ import annotations

from voxpool.scheduler.core.jobs.job import CANCELLED, COMPLETED
from voxpool.sim.explore.model.production import Production


def end_of(production: Production, forced: int) -> str:
    """Return the end of each job and leftover state; `forced` timeouts were the only possible steps."""
    observed = production.observed
    ends = []
    for job in sorted(observed.jobs.values(), key=lambda job: (job.request_id, job.sequence)):
        reason = f" ({job.reason})" if job.reason and job.state != CANCELLED else ""
        ends.append(
            f"{job.request_id} {job.state}{reason}, reported {observed.times.get(job.job_id, 0)}x,"
            f" {job.attempt} attempts, {job.redispatches} redispatches"
        )
    counts = (
        ("late results", observed.late),
        ("stale allocations", len(observed.stale)),
        ("parked", observed.parked),
        ("timeouts had to come", forced),
    )
    ends += [f"{count} {what}" for what, count in counts if count]
    return "; ".join(ends + left_over(production))


def broken_in(production: Production, forced: int) -> list[str]:
    """Return the violations at the end: each request must have exactly one end, the right one, and nothing is left."""
    observed, shape = production.observed, production.shape
    broken = list(observed.broken)
    for name in shape.job_names:
        jobs = [job for job in observed.jobs.values() if job.request_id == name]
        if len(jobs) != 1:
            broken.append(f"a request is one job: {name} is {len(jobs)}")
        for job in jobs:
            times = observed.times.get(job.job_id, 0)
            if times != 1:
                broken.append(f"every request ends exactly once: {name} was reported {times} times")
            if job.state != COMPLETED and not (job.state == CANCELLED and name in shape.cancels):
                broken.append(f"every job is completed or cancelled by its client: {name} is {job.state} {job.reason}")
    if forced:
        broken.append(f"no job waits for a timeout that something should spare it: {forced} had to come")
    for worker in production.workers.values():
        if worker.overfull:
            broken.append(f"no assign beyond the slots: {worker.node_id} got {worker.overfull}")
        if worker.is_up and worker.node_id not in production.core.node_registry.nodes:
            broken.append(f"a connected node can be chosen: {worker.node_id} was taken offline")
    broken += [f"{checker.sentence}: {checker.examples[0]}" for checker in production.turns if checker.broken]
    return broken + [f"nothing is left over: {what}" for what in left_over(production)]


def left_over(production: Production) -> list[str]:
    """Return reserved, waiting and stored entries without an owner."""
    core, observed = production.core, production.observed
    name = observed.name
    store = production.histories.dump(production.flushes.state)
    connected = [*core.node_registry.nodes]
    if "n0" not in observed.stale:
        connected.append("n0")  # not drawn: the sweep of leases removes it after the end of its lease
    left = []
    for family in ("held", "reservations", "due"):
        members = [member for member, _ in store.get(family, [])]
        left += [f"{family} {'|'.join(map(name, member.split('|')))}" for member in members]
    for family in ("leases", "nodes", "capacity"):
        members = [member for member, _ in store.get(family, [])]
        left += [f"{family} {member}" for member in members if member.split("|")[-1] not in connected]
    counts = (
        ("jobs wait", len(core.waiting)),
        ("jobs are unfinished", core.table.unfinished),
        ("bytes of audio", core.table.audio_bytes),
        ("calls are queued", len(core.queue) + core.queue.in_flight),
        ("jobs are held", sum(len(node.reservations) for node in core.node_registry.nodes.values())),
    )
    return left + [f"{count} {what}" for what, count in counts if count]
