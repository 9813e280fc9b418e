"""The sizes and times of a chaos run."""

from __future__ import annotations

from dataclasses import dataclass, field

HEARTBEAT_S = 1.0
NODE_LEASE_S = 4.0
SCHEDULER_LEASE_S = 3.0
RETENTION_S = 3.0
"""Short, so that faults last longer than leases, and finished jobs are removed during a run."""
GRACE_S = 15.0
"""How long a scheduler keeps the session of a client that has moved to another one, and what it has asked for."""
PARTITIONS = 6


@dataclass(frozen=True)
class Sizes:
    """What a run starts, how long it lasts, and what breaks."""

    jobs: str = "redis"
    """memory: one scheduler, which loses its jobs when it dies; redis: several."""
    store: str = "redis"
    """redis, or cluster: three primaries with replicas."""
    order: str = "submit"
    """Of the waiting jobs: submit or fair. Clients name keys and priorities in both."""
    schedulers: int = 3
    nodes: int = 20
    slots: int = 2
    acks: int = 0
    """Replicas that must have what clients are told."""
    clients: int = 8
    in_flight: int = 6
    """Of each client."""
    pairs: int = 4
    pairs_a_node: int = 2
    work_s: float = 0.1
    pause_s: float = 0.5
    """Mean pause of a client between an answer and its next request."""
    audio_bytes: int = 8000
    duration_s: float = 600.0
    every_s: float = 4.0
    """Mean time between two faults."""
    drain_s: float = 90.0
    """From the last fault to the last answer, at most."""
    seed: int = 1
    kinds: tuple[str, ...] = ()
    """The kinds of faults; none: all that fit the store."""
    program: tuple[str, ...] = field(default=("voxpool.scheduler",))
    """The module of the schedulers, with its first arguments."""

    @property
    def name(self) -> str:
        """The name of the run in files and reports."""
        return f"{self.store}-{self.seed}" if self.jobs == "redis" else f"{self.jobs}-{self.store}-{self.seed}"

    @property
    def replicas(self) -> int:
        """The replicas of each primary of a cluster. With acks one more than must answer: one may be away."""
        return 1 + self.acks

    def pairs_of(self, node: int) -> list[str]:
        """Return the pairs of a node: two, or more where there are few nodes, so that each pair has one."""
        width = max(self.pairs_a_node, self.pairs - self.nodes + 1)
        return [self.pair((node + step) % self.pairs) for step in range(min(self.pairs, width))]

    def pair(self, number: int) -> str:
        """Return the name of a pair."""
        return f"p{number}:en"

    def flags(self) -> list[str]:
        """Return the settings of the schedulers."""
        flags = [
            *("--drain-s", "2", "--log-sample", "0", "--no-node-grace-s", "86400", "--waiting-timeout-s", "300"),
            *("--heartbeat-s", f"{HEARTBEAT_S:g}", "--lease-s", f"{NODE_LEASE_S:g}", "--attempts-max", "20"),
            *("--retention-s", f"{RETENTION_S:g}", "--cleanup-interval-s", "1", "--backoff-s", "0.1"),
            *("--dispatch-timeout-s", "10", "--send-stall-s", "3", "--session-grace-s", f"{GRACE_S:g}"),
            *("--order", self.order),
        ]
        if self.jobs == "redis":
            flags += ["--jobs", "redis", "--partitions", str(PARTITIONS), "--acks", str(self.acks)]
            flags += ["--scheduler-lease-s", f"{SCHEDULER_LEASE_S:g}"]
        return flags
