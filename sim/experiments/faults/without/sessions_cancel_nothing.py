"""R16: the jobs of a closed session continue, and nodes work on results without a receiver."""

from __future__ import annotations

from collections.abc import Iterable

from voxpool.scheduler.core.dispatcher import Dispatcher


class CancelsNothing(Dispatcher):
    """The end of a session ends no job."""

    def session_closed(self, session_id: str, job_ids: Iterable[str] = ()) -> None:
        super().session_closed(session_id)
