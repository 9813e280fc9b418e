"""The bounds on the jobs of all partitions, and the parts of keys in them, as one scheduler knows them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from voxpool.scheduler.shared.partition.calls import Bounds

KEYS_MAX = 100
"""Keys whose jobs in other partitions are known: those that have submitted here last. A beat asks for so many."""


class Totals:
    """The unfinished jobs of each partition and their audio, and those of some keys, as the last beat has answered.

    A partition checks its own count exactly. That of the others is as old as a beat, a third of a lease, so all
    together may exceed a bound by what came in since.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._known: dict[int, tuple[int, int]] = {}
        self._owned: dict[int, dict[str, tuple[int, int]]] = {}
        """Partition -> key -> its unfinished jobs and their audio there."""
        self._keys: dict[str, None] = {}
        """The keys that have submitted here, the last one at the end."""

    @property
    def keys(self) -> list[str]:
        """The keys that a beat asks for; none when there is one partition, which knows them itself."""
        return list(self._keys) if len(self._known) > 1 else []

    def note(self, partition: int, jobs: int, size: int, keys: Sequence[str] = (), owned: Sequence[str] = ()) -> None:
        """Note what `partition` has, and what `keys` have there, as a beat has answered it."""
        self._known[partition] = (jobs, size)
        counts = (text.partition("|") for text in owned)
        self._owned[partition] = {key: (int(its), int(size)) for key, (its, _, size) in zip(keys, counts, strict=True)}

    def left_for(self, partition: int, keys: Iterable[str] = ()) -> Bounds:
        """Return the bounds of a submit of `keys` to `partition`: what the other partitions leave."""
        jobs, size = _sum(known for other, known in self._known.items() if other != partition)
        most, elsewhere = self._bounds, []
        for key in dict.fromkeys(keys):
            self._keys.pop(key, None)
            self._keys[key] = None
            owned = _sum(there.get(key, (0, 0)) for other, there in self._owned.items() if other != partition)
            if any(owned):
                elsewhere.append("|".join(map(str, (key, *owned))))
        while len(self._keys) > KEYS_MAX:
            del self._keys[next(iter(self._keys))]
        room = max(0, most.jobs_max - jobs), max(0, most.bytes_max - size)
        return Bounds(*room, most.waiting_max, " ".join(elsewhere))


def _sum(counts: Iterable[tuple[int, int]]) -> tuple[int, int]:
    jobs = size = 0
    for its_jobs, its_size in counts:
        jobs += its_jobs
        size += its_size
    return jobs, size
