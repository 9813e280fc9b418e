"""The roles of members in an expected partition: what beat, nodes and sweep must answer, and the state that follows."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.contract.jobs.bounds import owned
from tests.contract.jobs.job import FINAL

if TYPE_CHECKING:
    from tests.contract.jobs.partition import Partition


def beat(partition: Partition, args: list[str]) -> list[str]:
    """The lease of the caller, and what dead schedulers had."""
    scheduler, (now, lease, waiting, limit, judge) = args[0], map(int, args[1:6])
    ended = partition.leases.get(scheduler)
    partition.leases[scheduler] = now + lease
    lapsed = sorted((end, name) for name, end in partition.leases.items() if end <= now)[:4] if judge else []
    dead = [name for _, name in lapsed if name != scheduler]
    answer = ["NEW" if ended is None else "LAPSED" if ended <= now else "OK"]
    adopted = []
    held = {name: partition.taken(name)[:limit] for name in dead}
    gone = []
    for name in dead:
        letters = list(partition.mail.get(name, {}))[:limit]
        wishes = sorted(pair for pair, hungry in partition.hungry if hungry == name)[:limit]
        enrolled = sorted(node for node, (holder, *_) in partition.nodes.items() if holder == name)[:limit]
        for node in enrolled:
            del partition.nodes[node]
        for number in letters:
            del partition.mail[name][number]
        for pair in wishes:
            del partition.hungry[pair, name]
        if len(held[name]) < limit and len(letters) < limit and len(wishes) < limit and len(enrolled) < limit:
            gone.append(name)
            del partition.leases[name]
            partition.loads.pop(name, None)
    if ended is None:
        partition.tell(scheduler, "born|")
    waits: Counter[str] = Counter()
    for name in dead:
        for job_id in held[name]:
            job = partition.jobs[job_id]
            job.lost += 1
            if job.lost >= job.attempts_max:
                partition.finish(job_id, "f", "attempts_max|scheduler_lost", now, "")
            else:
                partition.wait(job, now + waiting)
                waits[job.pair] += 1
        if name in gone:
            for _, other in sorted((end, other) for other, end in partition.leases.items()):
                partition.tell(other, "look|")
                partition.invited |= {(job.pair, other) for job in partition.jobs.values()}
        adopted += [name, str(len(held[name]))]
    partition.invited = {(pair, member) for pair, member in partition.invited if member in partition.leases}
    partition.invite_for(waits, now)
    loads = ""
    if args[6]:
        partition.loads[scheduler] = args[6]
        members = [name for _, name in sorted((end, name) for name, end in partition.leases.items())]
        loads = " ".join(f"{name}|{partition.loads[name]}" for name in members if name in partition.loads)
    by_key = ["{}|{}".format(*owned(partition, key)) for key in args[7:]]
    return [*answer, str(partition.counts["open"]), str(partition.counts["bytes"]), loads, *by_key, *adopted]


def nodes(partition: Partition, args: list[str]) -> list[str]:
    """The names of nodes are given to the caller, or taken back."""
    scheduler, answer = args[0], []
    partition.be_member(scheduler)
    for at in range(2, len(args), 4):
        node, number, process, again = args[at : at + 4]
        holder, its_number, its_process = partition.nodes.get(node, ("", "", ""))
        if not process:
            if holder == scheduler and int(its_number) <= int(number):
                del partition.nodes[node]
        elif holder not in ("", scheduler) and holder in partition.leases and its_process != process:
            partition.tell(holder, f"probe|{node}|{its_number}")
            answer += ["TAKEN", holder]
            continue
        elif holder not in ("", scheduler) and holder in partition.leases and again == "1":
            answer += ["TAKEN", holder]
            continue
        else:
            if holder not in ("", scheduler):
                partition.tell(holder, f"replaced|{node}|{its_number}")
            partition.nodes[node] = (scheduler, number, process)
        answer += ["OK", ""]
    return answer


def sweep(partition: Partition, args: list[str]) -> list[str]:
    """Apply `sweep`."""
    before, keep, limit = map(int, args)
    too_many, count = len(partition.ended) - keep, 0
    for job_id, ended in partition.ended[:limit]:
        if ended >= before and count >= too_many:
            break
        count += 1
        job = partition.jobs.get(job_id)
        if job is not None and job.state in FINAL and job.since == ended:
            del partition.jobs[job_id]
    del partition.ended[:count]
    places = 0
    for job_id in partition.listed[:limit]:
        job = partition.jobs.get(job_id)
        if job is not None and job.place == partition.oldest_place + places:
            break
        places += 1
    del partition.listed[:places]
    return [str(max(count, places))]
