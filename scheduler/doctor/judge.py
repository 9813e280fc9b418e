"""Pure judgements: facts go in, findings come out. examine.py collects the facts."""

from __future__ import annotations

import re
from collections.abc import Iterable

from voxpool.scheduler.config import Settings
from voxpool.scheduler.doctor.finding import Finding, Trouble
from voxpool.scheduler.protocol.answers import NodeView, PoolView
from voxpool.scheduler.security.secret_files import is_of_this_machine
from voxpool.scheduler.service.open_files import BESIDE_CONNECTIONS, wanted
from voxpool.scheduler.stores.facts import StoreFacts

REDIS_VERSION_MIN = (7, 0)
"""Redis 6 gets no fixes any more; what the tests run is Redis 8 and Valkey 9."""
CLOCK_SKEW_MS_MAX = 2000
"""Leases are seconds long; two machines that follow a time server differ by far less."""
NODE_CLOCK_SKEW_MS_MAX = 10_000
"""More, since the clock of a node is compared by a scheduler that may be busy."""
NO_EVICTION = "noeviction"


CONNECTIONS_LEAST = 900
"""Connections below which a machine is not set up for a service; the usual 1,024 open files allow more."""


def files_that_matter(settings: Settings) -> int:
    """Return how many open files `settings` need. The default of connections_max takes what the machine allows."""
    is_default = settings.connections_max == Settings().connections_max
    return wanted(CONNECTIONS_LEAST if is_default else settings.connections_max)


def notes(settings: Settings, open_files_max: int | None) -> list[str]:
    """Return notes about the limits of the machine."""
    if open_files_max is None or not files_that_matter(settings) <= open_files_max < wanted(settings.connections_max):
        return []
    most = open_files_max - BESIDE_CONNECTIONS
    return [f"{open_files_max} open files are allowed (ulimit -Hn), so connections_max is {most} here"]


def settings_findings(
    settings: Settings, where: str, *, needs_tokens: bool, open_files_max: int | None
) -> list[Finding]:
    """Judge `settings` of the scheduler at `where`; `open_files_max` None = no bound."""
    found = []
    if settings.cleanup_interval_s == 0:
        found.append(
            Finding(
                Trouble.CLEANUP_OFF,
                where,
                "cleanup_interval_s = 0: finished jobs are never removed, so its memory grows until it dies",
                "set cleanup_interval_s to 60, the default; 0 is only to measure the leak",
            )
        )
    if not needs_tokens and is_public(settings.host):
        found.append(
            Finding(
                Trouble.TOKENS_UNSET,
                where,
                f"it listens on {settings.host} without tokens: anyone who reaches it may see and cancel all jobs",
                "make tokens with `voxpool token`, name their file in the setting access_file, or listen on 127.0.0.1",
            )
        )
    files = files_that_matter(settings)
    if open_files_max is not None and open_files_max < files:
        found.append(
            Finding(
                Trouble.OPEN_FILES,
                where,
                f"{open_files_max} open files are allowed; {files - BESIDE_CONNECTIONS} connections need {files}",
                f"allow more (ulimit -n {files}; LimitNOFILE={files} in a systemd unit), or lower connections_max",
            )
        )
    return found


def store_findings(facts: StoreFacts) -> list[Finding]:
    """Judge the facts about a store: each of its servers."""
    return [finding for one in (facts, *facts.others) for finding in _server_findings(one)]


def too_few_replicas(facts: StoreFacts, acks: int) -> list[Finding]:
    """Return the findings that servers of shared jobs have fewer replicas than the setting acks waits for."""
    return [
        Finding(
            Trouble.STORE_REPLICAS,
            one.url,
            f"acks = {acks}, and {one.replicas} replicas are connected to it: no job is accepted or ended there",
            "start a replica of it, two are better, or set acks to 0",
        )
        for one in (facts, *facts.others)
        if one.replicas < acks
    ]


def cluster_as_one_server(where: str) -> Finding:
    """Return the finding that a node of a cluster is used as if it had all keys."""
    return Finding(
        Trouble.STORE_CLUSTER,
        where,
        "it is a node of a Redis Cluster, which has a part of the keys only",
        "with jobs = redis write redis+cluster://HOST:PORT; jobs = memory needs a server that is not in a cluster",
    )


def _server_findings(facts: StoreFacts) -> list[Finding]:
    found = []
    if _numbers(facts.redis_version) < REDIS_VERSION_MIN:
        least = ".".join(map(str, REDIS_VERSION_MIN))
        found.append(
            Finding(
                Trouble.STORE_VERSION,
                facts.url,
                f"{facts.product} {facts.version} is older than Redis {least}, the oldest that voxpool works with",
                f"update it to Redis {least} or later, or to any Valkey",
            )
        )
    if facts.eviction != NO_EVICTION:
        found.append(
            Finding(
                Trouble.STORE_EVICTION,
                facts.url,
                f"maxmemory-policy = {facts.eviction}: when its memory is full it evicts nodes and slots in use",
                f"redis-cli config set maxmemory-policy {NO_EVICTION}, and the same in its configuration file",
            )
        )
    if facts.role != "master":
        found.append(
            Finding(
                Trouble.STORE_REPLICA,
                facts.url,
                "it is a replica: nothing can be written there",
                "give the URL of its master",
            )
        )
    if abs(facts.clock_ahead_ms) > CLOCK_SKEW_MS_MAX:
        found.append(clock_finding(facts.url, "the store", facts.clock_ahead_ms))
    return found


def second_scheduler(facts: StoreFacts) -> Finding:
    """Return the finding that another scheduler works on a store."""
    return Finding(
        Trouble.SECOND_SCHEDULER,
        facts.url,
        f"another scheduler works on it: {facts.owner}; a second one is refused",
        "stop that one, or give this one another database, such as /1",
    )


def fleet_findings(where: str, pools: Iterable[PoolView], nodes: Iterable[NodeView]) -> list[Finding]:
    """Judge whether nodes are there for the waiting jobs, and the clocks of the nodes."""
    nodes = list(nodes)
    found = []
    for pool in pools:
        states = [node.state for node in nodes if pool.pair in node.pairs]
        if not pool.waiting or "ready" in states:
            continue
        who = "no node serves the pair"
        if states:
            counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
            who = f"no node of the pair takes jobs now ({counts})"
        found.append(
            Finding(
                Trouble.NO_NODE,
                f"{where}, pair {pool.pair}",
                f"{pool.waiting} {'jobs wait' if pool.waiting > 1 else 'job waits'} and {who}: they will time out",
                f"start one: voxpool node --url {where} --id NAME --pairs {pool.pair}; or end the drain of one",
            )
        )
    for node in nodes:
        if abs(node.clock_ahead_ms) > NODE_CLOCK_SKEW_MS_MAX:
            found.append(clock_finding(f"{where}, node {node.node_id}", "the node", node.clock_ahead_ms))
    return found


def clock_finding(where: str, whose: str, ahead_ms: int) -> Finding:
    """Return the finding that a clock is `ahead_ms` off (below 0: behind)."""
    return Finding(
        Trouble.CLOCK_SKEW,
        where,
        f"the clock of {whose} is {abs(ahead_ms) / 1000:.1f} s {'ahead of' if ahead_ms > 0 else 'behind'} the "
        "scheduler's: leases and the times in logs and traces are wrong",
        "let both machines follow a time server (timedatectl set-ntp true)",
    )


def is_public(host: str) -> bool:
    """Whether other machines can reach a listener on `host`; true for every name but localhost."""
    try:
        return not is_of_this_machine(host)
    except ValueError:
        return host != "localhost"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))
