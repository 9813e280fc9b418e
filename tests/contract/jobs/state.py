"""The state that a store must have for an expected partition."""

from __future__ import annotations

from tests.contract.jobs.bounds import owned
from tests.contract.jobs.job import FINAL, RUNS, WAITS
from tests.contract.jobs.partition import Partition
from voxpool.scheduler.stores.memory import Dump


def state_of(partition: Partition) -> Dump:
    """Return the state that the store must have."""
    jobs, zero = partition.jobs, "0"
    waiting = [f"{job.line}|{job.place:016d}|{job_id}" for job_id, job in jobs.items() if job.state == WAITS]
    hungry = [f"{pair}|{number:016d}|{name}" for (pair, name), number in partition.hungry.items()]
    mine = [f"{name}|{pair}" for pair, name in partition.hungry]
    mail = [f"{name}|{n:016d}|{text}" for name, letters in partition.mail.items() for n, text in letters.items()]
    due = sorted((job.due, job_id) for job_id, job in jobs.items() if job.due)
    leases = sorted((end, name) for name, end in partition.leases.items())
    counts = "|".join(str(partition.counts[name]) for name in ("place", "open", "bytes", "mail"))
    keys = sorted({job.key for job in jobs.values() if job.key and job.state not in FINAL})
    by_key = [(f"|{key}", "{}|{}".format(*owned(partition, key))) for key in keys]
    loads = [(f"@{name}", load) for name, load in partition.loads.items()]
    whole: Dump = {
        "records": sorted((job_id, job.text) for job_id, job in jobs.items()),
        "waiting": [(member, zero) for member in sorted(waiting)],
        "taken": [(f"{job.by}|{job_id}", zero) for job_id, job in jobs.items() if job.state == RUNS],
        "hungry": [(member, zero) for member in sorted(hungry + mine)],
        "due": [(job_id, str(due_ms)) for due_ms, job_id in due],
        "mail": [(member, zero) for member in sorted(mail)],
        "ended": [(f"{job_id}|{ended}", str(place)) for place, (job_id, ended) in enumerate(partition.ended)],
        "listed": [(job_id, str(index)) for index, job_id in enumerate(partition.listed)],
        "schedulers": [(name, str(end)) for end, name in leases],
        "nodes": sorted((node, "|".join(entry)) for node, entry in partition.nodes.items()),
        "enrolled": sorted((f"{entry[0]}|{node}", zero) for node, entry in partition.nodes.items()),
        "counts": sorted([*([("all", counts), *by_key] if partition.is_counted else []), *loads]),
    }
    whole["taken"].sort()
    return {family: members for family, members in whole.items() if members}
