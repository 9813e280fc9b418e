"""Pages through the jobs of all schedulers, newest first: each partition lists its own by place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.jobs.job import DISPATCHED, WAITING, Job
from voxpool.scheduler.core.jobs.job_list import Page, number_of
from voxpool.scheduler.errors import BadInput
from voxpool.scheduler.shared.asking import answer_of
from voxpool.scheduler.shared.details import STATES, details_of
from voxpool.scheduler.shared.partition import calls
from voxpool.scheduler.shared.partition.calls import LIMIT_MAX, Record, record_of
from voxpool.scheduler.shared.partition.feed import Feed

LOOKS_MAX = LIMIT_MAX
"""Places of a partition that one call looks at; about 1 ms of Redis."""
DONE = 0
"""The place in a cursor of a partition of which nothing is left."""
STATE_OF = STATES | {"w": WAITING, "b": WAITING, "t": DISPATCHED}


class Slice:
    """What one partition has listed, and how far it was used."""

    def __init__(self, answer: Sequence[str]) -> None:
        self._older, self.total = int(answer[0]), int(answer[1])
        self._rows = list(zip(answer[2::2], answer[3::2], strict=True))[::-1]
        self.job_id = ""
        self.record: Record | None = None
        """The newest job that was not used; None when no job is left."""
        self.age = (0, 0)
        """By which jobs of partitions are compared: when it was submitted."""
        self.step()

    def step(self) -> None:
        """Go to the next older job."""
        self.record = None
        if self._rows:
            self.job_id, text = self._rows.pop()
            self.record = record_of(text)
            self.age = (details_of(self.record.meta).submitted_ms, self.record.place)

    @property
    def place(self) -> int:
        """Where the next page goes on."""
        return self._older if self.record is None else self.record.place


class SharedJobList:
    """Implements Lists. A cursor has the next place of each partition, with dots between them."""

    def __init__(self, feeds: Sequence[Feed], settings: Settings, shown: Callable[[str, Record], Job]) -> None:
        self._feeds = feeds
        self._settings = settings
        self._shown = shown

    async def page(self, limit: int, state: str = "", cursor: str | None = None, owner: str | None = None) -> Page:
        """Return a page. How many jobs an owner has at all schedulers is not known."""
        places = self._places_of(cursor)
        looks = LOOKS_MAX if state or owner is not None else min(limit, LOOKS_MAX)
        slices = await asyncio.gather(
            *(self._listed(feed, place, looks) for feed, place in zip(self._feeds, places, strict=True))
        )
        jobs: list[Job] = []
        for _ in range(LOOKS_MAX):
            newest = max(slices, key=lambda one: (one.record is not None, one.age))
            # Where a partition has older jobs that were not read, nobody knows whether they are the next ones.
            if len(jobs) == limit or newest.record is None or any(one.record is None and one.place for one in slices):
                break
            record = newest.record
            if (not state or STATE_OF[record.state] == state) and owner in (None, details_of(record.meta).owner):
                jobs.append(self._shown(newest.job_id, record))
            newest.step()
        is_done = not any(one.place for one in slices)
        total = sum(one.total for one in slices) if owner is None else None
        return Page(jobs, None if is_done else ".".join(str(one.place) for one in slices), total)

    def _places_of(self, cursor: str | None) -> list[int | None]:
        """Return where to go on in each partition; None = at its newest job."""
        if cursor is None:
            return [None] * len(self._feeds)
        places: list[int | None] = [number_of(word) for word in cursor.split(".")]
        if len(places) != len(self._feeds):
            raise BadInput("bad_cursor", f"cursor={cursor[:80]!r}: next_cursor of the page before")
        return places

    async def _listed(self, feed: Feed, place: int | None, looks: int) -> Slice:
        is_done = place == DONE  # it is asked for the number of its jobs only
        call = calls.list_jobs(place or 0, 1 if is_done else looks)
        answer: list[str] = await answer_of(feed, partial(feed.call, call), self._settings)
        return Slice([str(DONE), answer[1]] if is_done else answer)
