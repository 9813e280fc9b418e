"""The timeline of one job in a run, as events and as a chart: waiting, attempts on nodes, messages, the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.report.pictures import COLOURS, canvas
from voxpool.sim.report.report import WITH, WITHOUT, Picture
from voxpool.sim.report.svg import INK, svg_of

if TYPE_CHECKING:
    from voxpool.sim.world.clients import Request
    from voxpool.sim.world.nodes import SimNode, Work
    from voxpool.sim.world.world import World

MOMENTS_MAX = 1000
"""Spans and marks kept at most, so that a job that never ends fills neither the memory nor the chart."""
CLIENT = "client"
WAITING = "waiting"


class Span(NamedTuple):
    """A period in the row `row` of the chart, which is waiting or a node."""

    row: str
    begin_s: float
    end_s: float
    text: str
    is_work: bool


class JobLife(Watcher):
    """Follows the job `job_id` through `world`; at most MOMENTS_MAX spans and marks are kept."""

    def __init__(self, world: World, job_id: str) -> None:
        self.job_id = job_id
        self.spans: list[Span] = []
        self.marks: list[tuple[float, str, str]] = []
        """(time in s, row, event)."""
        self._env = world.env
        self._open: dict[str, tuple[float, str]] = {}

    def job_submitted(self, job: Job) -> None:
        if job.job_id == self.job_id:
            self._mark(CLIENT, "submitted")
            self._begin(WAITING, "")

    def job_dispatched(self, job: Job, node: Node) -> None:
        if job.job_id == self.job_id:
            self._end(WAITING, False)
            self._begin(f"hold {node.node_id}", f"attempt {job.attempt}")

    def job_redispatched(self, job: Job, node_id: str, attempt: int, reason: str) -> None:
        if job.job_id == self.job_id:
            self._end(f"hold {node_id}", False)
            self._mark(node_id, f"given up: {reason}")
            self._begin(WAITING, "")

    def job_ended(self, job: Job) -> None:
        if job.job_id == self.job_id:
            for row in list(self._open):
                if not row.startswith("work "):
                    self._end(row, False)
            self._mark(CLIENT, job.state + (f": {job.reason}" if job.reason and job.reason != job.state else ""))

    def work_started(self, worker: SimNode, work: Work) -> None:
        if work.job_id == self.job_id:
            self._begin(f"work {worker.node_id}", f"works on attempt {work.attempt}")

    def work_ended(self, worker: SimNode, work: Work, is_done: bool) -> None:
        if work.job_id == self.job_id:
            self._end(f"work {worker.node_id}", True)
            self._mark(worker.node_id, "done" if is_done else "stopped")

    def late_result(self, job_id: str, attempt: int, node_id: str, trace: str = "") -> None:
        if job_id == self.job_id:
            self._mark(node_id, f"late result of attempt {attempt}")

    def stale_allocation(self, job: Job, node_id: str, generation: str) -> None:
        if job.job_id == self.job_id:
            self._mark(node_id, "stale allocation")

    def request_ended(self, request: Request, state: str) -> None:
        if request.job_id == self.job_id:
            self._mark(CLIENT, "receives the end")

    def picture(self) -> Picture | None:
        """Return the timeline as a chart, or None when there was no such job."""
        if not self.marks:
            return None
        rows = list(dict.fromkeys([CLIENT, *(span.row for span in self.spans), *(row for _, row, _ in self.marks)]))
        figure, axes = canvas(f"The life of job {self.job_id}")
        for span in self.spans:
            place, height = (rows.index(span.row), 0.3) if span.is_work else (rows.index(span.row), 0.6)
            colour = COLOURS[WITHOUT] if span.row == WAITING else COLOURS[WITH]
            axes.barh(
                place, max(span.end_s - span.begin_s, 0), height, span.begin_s,
                color=colour, alpha=0.9 if span.is_work else 0.35,
            )  # fmt: skip
            axes.text(span.begin_s, place - 0.36, span.text if not span.is_work else "", fontsize=8, va="bottom")
        for number, (at_s, row, what) in enumerate(self.marks):
            axes.plot([at_s], [rows.index(row)], marker="|", markersize=14, color=INK)
            axes.annotate(
                what, (at_s, rows.index(row)), xytext=(4, -4 - 11 * (number % 3)), textcoords="offset points",
                fontsize=8, va="top", bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1},
            )  # fmt: skip
        axes.set_yticks(range(len(rows)), rows)
        axes.set_ylim(len(rows) - 0.4, -0.8)
        axes.set_xlabel("virtual time, s")
        caption = "Pale: allocated to the node by the scheduler. Dark: the node works on it. Red: waiting for a node."
        return Picture(f"job-{self.job_id}", f"The life of job {self.job_id}", caption, svg_of(figure))

    def _mark(self, row: str, what: str) -> None:
        if len(self.marks) < MOMENTS_MAX:
            self.marks.append((self._env._now, row, what))

    def _begin(self, row: str, text: str) -> None:
        self._open[row] = (self._env._now, text)

    def _end(self, row: str, is_work: bool) -> None:
        begun = self._open.pop(row, None)
        if begun is not None and len(self.spans) < MOMENTS_MAX:
            kind, _, node_id = row.partition(" ")
            self.spans.append(Span(node_id or kind, begun[0], self._env._now, begun[1], is_work))
