"""The classes of a core whose jobs are in Redis: all that differs from one whose jobs are in its memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from voxpool.scheduler.core.composition import CoreClasses
from voxpool.scheduler.core.seams import ScriptRunner
from voxpool.scheduler.shared.dispatcher import SharedDispatcher
from voxpool.scheduler.shared.local import FairSharedWaiting, SharedIntake, SharedTable, SharedWaiting
from voxpool.scheduler.shared.local_queue import LocalQueue
from voxpool.scheduler.shared.registry import SharedRegistry
from voxpool.scheduler.stores.cluster.job_stores import JobStores
from voxpool.scheduler.stores.memory import MemoryStore


def classes_of(nodes: MemoryStore, stores: JobStores, around: Callable[[ScriptRunner], ScriptRunner]) -> CoreClasses:
    """Return the classes of a scheduler that shares the jobs in `stores`, and has its nodes in `nodes`.

    `around` wraps what runs the scripts of a partition, to measure it.
    """
    return CoreClasses(
        job_table=SharedTable,
        waiting=SharedWaiting,
        fair=FairSharedWaiting,
        intake=SharedIntake,
        queue=partial(LocalQueue, store=nodes),
        node_registry=SharedRegistry,
        dispatcher=partial(SharedDispatcher, stores=stores, around=around),
    )
