"""The nodes and clients of the explored world. They are patient: whatever breaks, they connect again and repeat."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from voxpool.sim.instances.desk import NAME_TAKEN
from voxpool.sim.instances.desk_parts import Node
from voxpool.sim.instances.scheduler import Scheduler

Message = tuple[str, ...]


class Link:
    """Messages to one end, in order; implements NodeLink and ClientLink."""

    def __init__(self) -> None:
        self.messages: deque[Message] = deque()

    def assign(self, job_id: str, attempt: int, pair: str, audio: bytes) -> None:
        """Send a job."""
        self.messages.append(("assign", job_id, str(attempt), pair, audio.decode()))

    def cancel(self, job_id: str, attempt: int) -> None:
        """Cancel an attempt."""
        self.messages.append(("cancel", job_id, str(attempt)))

    def close(self, reason: str) -> None:
        """Close the connection."""
        self.messages.append(("close", reason, "0"))

    def probe(self) -> None:
        """Do nothing: a connection that has ended is noticed in any case."""

    def accepted(self, request_id: str) -> None:
        """Accept a job."""
        self.messages.append(("accepted", request_id))

    def ended(self, request_id: str, state: str, outcome: str) -> None:
        """End a job."""
        self.messages.append(("ended", request_id, state, outcome))


@dataclass
class Seen:
    """What the ends have seen: the explorer checks it."""

    runs: Counter[str] = field(default_factory=Counter)
    attempts: Counter[tuple[str, int]] = field(default_factory=Counter)
    ends: dict[str, tuple[str, str]] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)


class WorldNode:
    """A worker: it connects to some scheduler, with what it runs."""

    def __init__(self, node_id: str, pairs: Sequence[str], slots: int, process: str = "1") -> None:
        self.node_id = node_id
        self.process = process
        self.was_refused = False
        """Whether its name was another process's: it tries again and again."""
        self.pairs = list(pairs)
        self.slots = slots
        self.running: dict[str, int] = {}
        self.scheduler: Scheduler | None = None
        self.known: Node | None = None
        self.link = Link()

    def join(self, scheduler: Scheduler, partition_of: Sequence[int]) -> None:
        """Connect and register."""
        self.link = Link()
        self.scheduler = scheduler
        self.was_refused = False
        self.known = Node(self.node_id, self.pairs, self.slots, self.link, self.process)
        scheduler.desk.node_came(self.known, list(self.running.items()), partition_of)

    def receive(self, seen: Seen) -> None:
        """Take the next message."""
        kind, job_id, attempt, *rest = self.link.messages.popleft()
        if kind == "close":
            self.scheduler, self.was_refused = None, job_id == NAME_TAKEN
            return
        if kind == "cancel":
            if self.running.get(job_id) == int(attempt):
                del self.running[job_id]
            return
        pair, audio = rest
        self.running[job_id] = int(attempt)
        seen.runs[job_id] += 1
        seen.attempts[job_id, int(attempt)] += 1
        if len(self.running) > self.slots:
            seen.wrong.append(f"{self.node_id} has {len(self.running)} jobs in {self.slots} slots")
        if pair not in self.pairs or audio != audio_of(job_id.partition(".")[2]).decode():
            seen.wrong.append(f"{self.node_id} got {job_id} of {pair} with audio {audio!r}")

    def work(self, job_id: str) -> None:
        """Answer a job that runs."""
        attempt = self.running.pop(job_id)
        assert self.scheduler is not None and self.known is not None
        self.scheduler.desk.node_answered(self.known, job_id, attempt, "c", f"{job_id}/{attempt}")


class WorldClient:
    """A client: it asks again for all that has not ended whenever it connects."""

    def __init__(self) -> None:
        self.open: dict[str, str] = {}
        """Request id -> pair."""
        self.scheduler: Scheduler | None = None
        self.link = Link()

    def receive(self, seen: Seen) -> None:
        """Take the next message."""
        kind, request_id, *rest = self.link.messages.popleft()
        if kind == "accepted":
            seen.accepted.add(request_id)
            return
        state, outcome = rest
        if request_id not in seen.accepted and state != "r":
            seen.wrong.append(f"{request_id} ended before it was accepted")
        if self.open.pop(request_id, None) is None:
            seen.wrong.append(f"{request_id} ended twice: {seen.ends[request_id]}, then {state} {outcome}")
        seen.ends[request_id] = (state, outcome)
        if state == "c" and outcome.partition("/")[0].partition(".")[2] != request_id:
            seen.wrong.append(f"{request_id} got the result {outcome}")
        if state == "r":
            seen.wrong.append(f"{request_id} was refused: {outcome}")


def audio_of(request_id: str) -> bytes:
    """Return the audio of a request; each has its own."""
    return f"audio of {request_id}".encode()
