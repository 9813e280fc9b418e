"""Selects the objects of a core that are watched for footprints: all with state, from the dispatcher to each job."""

from __future__ import annotations

from typing import Any

from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.sim.explore.model.production import Production
from voxpool.sim.explore.search.footprints import Footprints, NotedDict, Shards, merged

PARTS = ("table", "waiting", "queue", "node_registry", "dispatcher", "node_events", "retention", "timeouts", "leases")


def watch_core(production: Production, footprints: Footprints) -> None:
    """Watch all existing objects, and new jobs and nodes when table and node registry add them."""
    core: Any = production.core

    def watch_job(job: Job) -> None:
        footprints.watch(job, f"job {job.request_id}")

    def watch_node(node: Node) -> None:
        footprints.watch(node, f"node {node.node_id} {node.process_id}")

    table: Any = core.table
    for name, adopt in (("_by_id", watch_job), ("_by_request", watch_job)):
        shards = getattr(table, name)
        whole = NotedDict(footprints, f"table.{name}", merged(shards), adopt)
        setattr(table, name, Shards(whole, len(shards)))
    core.node_registry.nodes = NotedDict(footprints, "node_registry.nodes", core.node_registry.nodes, watch_node)
    for job in production.observed.jobs.values():
        watch_job(job)
    for worker in production.workers.values():
        for link in worker.links:
            if link.node is not None:
                watch_node(link.node)
    footprints.watch(core.timeouts.deadlines, "deadlines of jobs")
    footprints.watch(core.leases.deadlines, "deadlines of nodes")
    footprints.watch(core.dispatcher.affinity, "affinity")
    for part in PARTS:
        footprints.watch(getattr(core, part), part)
