"""Where the dispatcher ends and the world begins: the protocols that production and simulation both implement.

Nothing here decides; nothing here knows sockets, HTTP or Redis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from voxpool.scheduler.core.jobs.job import Job
    from voxpool.scheduler.core.nodes.node import Node
    from voxpool.scheduler.core.scripts import ScriptCall
    from voxpool.scheduler.protocol.messages import NodePartial, ToNode


class ScriptRunner(Protocol):
    """Runs Lua scripts by name: an in-process model, one Redis server, or whatever gives the same answers."""

    @property
    def restarts(self) -> int:
        """How often the store turned out to be another process or to have lost its data (NOSCRIPT, new run id)."""
        ...

    async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Run `calls` in order, in one round trip, and return the answer of each as flat strings.

        Raises StoreUnavailable when the answer of any call is unknown (then some, all or none were carried out) and
        ScriptFailed when a script raised.
        """
        ...


class NodeLink(Protocol):
    """The connection to one node. Calls on a closed link do nothing."""

    def send(self, message: ToNode) -> None:
        """Queue `message` for the node, in order. Never blocks; a link whose buffer is full closes itself."""
        ...

    def close(self, reason: str) -> None:
        """Close the connection; the link's owner reports that with Dispatcher.node_left."""
        ...

    async def probe(self) -> bool:
        """Return whether the other end still answers (a ping, bounded by the link's own timeout)."""
        ...


class EndedLink:
    """The link of a node whose connection has ended: it keeps nothing of that connection."""

    def send(self, message: ToNode) -> None:
        """Do nothing."""

    def close(self, reason: str) -> None:
        """Do nothing: it is closed."""

    async def probe(self) -> bool:
        """Return False: there is no connection."""
        return False


ENDED_LINK = EndedLink()


class ResultSink(Protocol):
    """Receives each job that ended, exactly once, and partial results before."""

    def job_ended(self, job: Job) -> None:
        """Take note that `job` has reached its final state; must not block and must not raise."""
        ...

    def wants_partials(self, job: Job) -> bool:
        """Return whether a client wants partial results of `job`."""
        return False

    def partial(self, job: Job, partial: NodePartial) -> None:
        """Pass on a partial result of the present attempt of `job`, or drop it; must not block and must not raise."""
        return None


class Observer:
    """Receives what the dispatcher does: logs, metrics, traces and the simulation's checkers derive from it.

    Every method does nothing here. They are called after the state has changed and before any await.
    """

    def job_submitted(self, job: Job) -> None:
        """`job` was accepted and waits."""

    def job_rejected(self, pair: str, reason: str) -> None:
        """A submit was refused."""

    def connection_refused(self, peer: str, reason: str) -> None:
        """A connection was refused (connections_max, sessions_max, stopping)."""

    def peer_aborted(self, peer: str, reason: str) -> None:
        """A peer on a WebSocket was cut off (takes_nothing, send_buffer_full, no_pong, no_greeting, closed_1009, …)."""

    def job_dispatched(self, job: Job, node: Node) -> None:
        """`job`, with its new attempt, was sent to `node`."""

    def job_redispatched(self, job: Job, node_id: str, attempt: int, reason: str) -> None:
        """`attempt` of `job` on `node_id` is given up for `reason` (timeout, closed, lapsed, busy, ...)."""

    def job_ended(self, job: Job) -> None:
        """`job` has reached its final state."""

    def job_removed(self, job: Job) -> None:
        """A finished `job` left the table."""

    def late_result(self, job_id: str, attempt: int, node_id: str, trace: str = "") -> None:
        """A result came for an attempt that no longer counts; `trace` is what its node sent along, "" = nothing."""

    def stale_allocation(self, job: Job, node_id: str, generation: str) -> None:
        """The store allocated a slot of a generation that isn't connected here; it was handed back, not sent."""

    def nobody(self, job: Job) -> None:
        """The store found no node with room for `job`."""

    def node_registered(self, node: Node) -> None:
        """`node` is in the pools of its pairs under its present generation."""

    def node_offline(self, node: Node, reason: str) -> None:
        """`node` left (closed, lapsed, replaced)."""

    def node_rests(self, node: Node, until_ms: int, reason: str) -> None:
        """`node` takes no new jobs until `until_ms` (busy, failing)."""

    def swept(self, removed: int, pause_ms: float) -> None:
        """A slice of the clean-up removed `removed` finished jobs and blocked the loop for `pause_ms`."""

    def partitions_failing(self, count: int) -> None:
        """So many partitions of the jobs in Redis can't be reached now; called at each change."""

    def scheduler_lapsed(self, partition: int) -> None:
        """The lease of this scheduler had ended in a partition: others may have run its jobs there again."""

    def jobs_adopted(self, partition: int, scheduler: str, jobs: int) -> None:
        """`scheduler` is dead; `jobs` that its nodes had wait again, or have failed as their attempts are used up."""

    def store_failed(self, detail: str) -> None:
        """A flush of script calls got no answer and will be repeated."""

    def store_recovered(self) -> None:
        """The store answers again."""
