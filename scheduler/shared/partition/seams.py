"""What a feed asks of the rest of its scheduler."""

from __future__ import annotations

from typing import Protocol

from voxpool.scheduler.shared.partition.asked import Asked
from voxpool.scheduler.shared.partition.calls import Record, Taken


class Desk(Protocol):
    """The rest of the scheduler: its nodes, and what its clients wait for. A slot is any object of the desk's."""

    def has_room(self, pair: str) -> bool:
        """Whether a node here has a free slot for `pair`."""
        ...

    def reserve(self, pair: str) -> object | None:
        """Reserve such a slot."""
        ...

    def free(self, slot: object) -> None:
        """A reserved slot is not needed."""
        ...

    def has(self, job_id: str, attempt: int) -> bool:
        """Whether this attempt, or a later one, is with a node here."""
        ...

    def held(self, partition: int) -> list[tuple[str, int]]:
        """Return all (job, attempt) of a partition that are with nodes here."""
        ...

    def start(self, taken: Taken, slot: object, audio: bytes) -> None:
        """Send a job to the node of the reserved slot."""
        ...

    def give_up(self, job_id: str, attempt: int) -> None:
        """This attempt, and those before it, do not count any more: cancel them at their node."""
        ...

    def claimed(self, job_id: str, attempt: int, node: object, record: Record | None) -> None:
        """The job that `node` runs is ours from now on; `record` is None when it is not."""
        ...

    def asked(self, partition: int) -> list[Asked]:
        """Return what clients here wait for."""
        ...

    def find_asked(self, job_id: str) -> Asked | None:
        """Return one of them."""
        ...

    def accepted(self, job_id: str) -> None:
        """The store has the job."""
        ...

    def ended(self, job_id: str, state: str, outcome: str) -> None:
        """The job has ended, or was refused (state r); a second call for it does nothing."""
        ...
