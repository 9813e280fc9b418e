"""Nodes for the jobs that wait: composes the select calls and takes the store's answers.

The dispatcher is built on it. It knows neither clients nor the life of a job after a node has it.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from functools import partial

from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.admission.intake import Intake
from voxpool.scheduler.core.clock import Clock
from voxpool.scheduler.core.jobs.affinity import Affinity
from voxpool.scheduler.core.jobs.job import WAITING, Job
from voxpool.scheduler.core.jobs.waiting import SelectBatch, WaitingJobs
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_registry import NodeRegistry
from voxpool.scheduler.core.script_queue import OnAnswer, ScriptQueue, ignore_answer
from voxpool.scheduler.core.scripts import Reply, ScriptCall, Want, node_offline, select_explained, select_node
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.core.why import Why

SEEDS = 2**31 - 2


class Allocations(ABC):
    """Asks the store for nodes with room, in batches, and passes each allocation to `_dispatch`."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        waiting: WaitingJobs,
        intake: Intake,
        node_registry: NodeRegistry,
        queue: ScriptQueue,
        affinity: Affinity,
        observer: Observer,
        random: random.Random,
        why: Why,
    ) -> None:
        self.waiting = waiting
        self.intake = intake
        self.node_registry = node_registry
        self.queue = queue
        self.affinity = affinity
        self._settings = settings
        self._clock = clock
        self._observer = observer
        self._random = random.random
        self._why = why

    @abstractmethod
    def _dispatch(self, job: Job, node: Node, now_ms: int) -> None:
        """Send `job` to `node`, of which it has a slot."""

    @abstractmethod
    def _release(self, job: Job, node: Node) -> None:
        """Give the slot of the present attempt of `job` on `node` back to the store."""

    @property
    def wants_select(self) -> bool:
        """Whether jobs wait that may find a node now."""
        return self.waiting.ready

    def compose_select(self) -> tuple[ScriptCall, OnAnswer] | None:
        """Return the select call for the oldest jobs that may find a node (called by the queue at each flush)."""
        batch = self.waiting.next_batch(self._settings.select_batch_max)
        if batch is None:
            return None
        now_ms = self._clock.now_ms()
        due_ms = now_ms + self.node_registry.reservation_ms
        wants = [
            Want(
                f"{job.job_id}|{self._next_attempt(job)}",
                job.pair,
                due_ms,
                self.affinity.node_of(job.session_key) if job.affinity else "",
                job.avoid,
            )
            for job in batch.jobs
        ]
        settings = self._settings
        seed = 1 + int(self._random() * SEEDS)
        call = select_node(now_ms, seed, settings.choices, settings.removals_max, wants)
        followed = self._why.followed
        if followed and any(job.job_id in followed for job in batch.jobs):
            call = select_explained(call)
        return call, partial(self._selected, batch)

    def store_restarted(self) -> None:
        """Register all nodes again: the store has lost its data, or may have."""
        self.node_registry.register_all()

    def _next_attempt(self, job: Job) -> int:
        return job.attempt + 1

    def _selected(self, batch: SelectBatch, answer: list[str]) -> None:
        now_ms = self._clock.now_ms()
        if len(answer) > 2 * len(batch.jobs):
            self._why.looked(batch.jobs, answer)
        for i, job in enumerate(batch.jobs):
            node_id, generation = answer[2 * i], answer[2 * i + 1]
            if not node_id:
                self._not_allocated(batch, job, generation)
                continue
            job.attempt = self._next_attempt(job)
            batch.allocated(job)
            node = self.node_registry.nodes.get(node_id)
            if node is None or node.generation != generation:
                self._hand_back(batch, job, node_id, generation)
            elif job.state != WAITING:  # it ended while the store looked for a node
                self._release(job, node)
            elif node.rest_until_ms:  # it began to rest meanwhile, and would refuse this job as it did the last one
                self._release(job, node)
                self.waiting.add(job)
            else:
                self._dispatch(job, node, now_ms)
        self.waiting.settle(batch)
        if self.waiting.ready:
            self.queue.nudge()

    def _not_allocated(self, batch: SelectBatch, job: Job, reply: str) -> None:
        if reply == Reply.AGAIN:
            batch.unsure(job)
        else:
            batch.nobody(job)
            self.intake.nobody(job)
            self._observer.nobody(job)
            self.node_registry.doubt(job.pair)
        if job.state == WAITING:
            self.waiting.add(job)

    def _hand_back(self, batch: SelectBatch, job: Job, node_id: str, generation: str) -> None:
        """Hand back an allocation of a generation that isn't connected here, before anything else is selected.

        The node of that generation is removed from the store, too; otherwise it would be drawn again and again.
        """
        batch.unsure(job)
        self._observer.stale_allocation(job, node_id, generation)
        self.queue.call(node_offline(node_id, generation), ignore_answer)
        self.queue.release(job.reservation)
        if job.state == WAITING:
            self.waiting.add(job)
