"""The bounds on the jobs of all partitions, as one scheduler knows them. Pure."""

from __future__ import annotations

from voxpool.scheduler.shared.partition.calls import Bounds


class Totals:
    """The unfinished jobs of each partition and their audio, as the last beat has answered.

    A partition checks its own count exactly. That of the others is as old as a beat, a third of a lease, so all
    together may exceed a bound by what came in since.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._known: dict[int, tuple[int, int]] = {}

    def note(self, partition: int, jobs: int, size: int) -> None:
        """Note what `partition` has."""
        self._known[partition] = (jobs, size)

    def left_for(self, partition: int) -> Bounds:
        """Return the bounds of a submit to `partition`: what the other partitions leave."""
        others = [known for other, known in self._known.items() if other != partition]
        jobs, size = sum(one[0] for one in others), sum(one[1] for one in others)
        most = self._bounds
        return Bounds(max(0, most.jobs_max - jobs), max(0, most.bytes_max - size), most.waiting_max)
