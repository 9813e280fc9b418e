"""The state of the store, of which each partition knows a part: away as soon as one can't be reached."""

from __future__ import annotations

from voxpool.scheduler.core.seams import Observer


class StoreWatch:
    """Reports to `observer` what the partitions report. An error is passed on from one of them at a time."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self._failing: dict[int, None] = {}

    def failed(self, partition: int, detail: str) -> None:
        """A flush to `partition` got no answer."""
        if partition not in self._failing:
            self._failing[partition] = None
            self.observer.partitions_failing(len(self._failing))
        if next(iter(self._failing)) == partition:
            self.observer.store_failed(detail)

    def recovered(self, partition: int) -> None:
        """`partition` answers again."""
        self._failing.pop(partition, None)
        self.observer.partitions_failing(len(self._failing))
        if not self._failing:
            self.observer.store_recovered()


class PartitionObserver(Observer):
    """Receives what the feed of one partition reports."""

    def __init__(self, partition: int, watch: StoreWatch) -> None:
        self._partition = partition
        self._watch = watch

    def store_failed(self, detail: str) -> None:
        """A flush got no answer."""
        self._watch.failed(self._partition, detail)

    def store_recovered(self) -> None:
        """The partition answers again."""
        self._watch.recovered(self._partition)

    def scheduler_lapsed(self, partition: int) -> None:
        """The lease of this scheduler had ended."""
        self._watch.observer.scheduler_lapsed(partition)

    def jobs_adopted(self, partition: int, scheduler: str, jobs: int) -> None:
        """Jobs of a dead scheduler wait again."""
        self._watch.observer.jobs_adopted(partition, scheduler, jobs)
