"""What the desk of an explored scheduler keeps: links to nodes and clients, and a record for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from voxpool.scheduler.shared.partition.asked import Asked


class NodeLink(Protocol):
    """The connection to a node."""

    def assign(self, job_id: str, attempt: int, pair: str, audio: bytes) -> None:
        """Send a job."""
        ...

    def cancel(self, job_id: str, attempt: int) -> None:
        """Tell it to drop an attempt."""
        ...

    def close(self, reason: str) -> None:
        """Close it: another connection has the node's name."""
        ...

    def probe(self) -> None:
        """Close it unless it answers."""
        ...


class ClientLink(Protocol):
    """The connection to a client."""

    def accepted(self, request_id: str) -> None:
        """Tell it that the store has the job."""
        ...

    def ended(self, request_id: str, state: str, outcome: str) -> None:
        """Tell it how the job has ended; state r: it was refused."""
        ...


@dataclass(eq=False, slots=True)
class Node:
    """A connected node: its slots, and the attempts that it runs, or may run."""

    node_id: str
    pairs: Sequence[str]
    slots: int
    link: NodeLink
    process: str = "process"
    used: int = 0
    """Reserved slots: those of `holds`, and those of questions on their way."""
    holds: dict[str, int] = field(default_factory=dict)
    early: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Results of attempts that it brought along, whose claims are on their way."""
    is_gone: bool = False


@dataclass(eq=False, slots=True)
class Held:
    """An attempt that a node here runs for the store."""

    attempt: int
    node: Node
    pair: str
    audio_name: str
    expires_ms: int = 0


@dataclass(eq=False, slots=True)
class Wish:
    """A client's wish for a job."""

    asked: Asked
    request_id: str
    client: ClientLink
