"""R16: a client that closes its session leaves its jobs behind, and nodes work on what nobody waits for."""

from __future__ import annotations

from collections.abc import Iterable

from voxpool.scheduler.core.dispatcher import Dispatcher


class CancelsNothing(Dispatcher):
    """The end of a session ends no job."""

    def session_closed(self, session_id: str, job_ids: Iterable[str] = ()) -> None:
        super().session_closed(session_id)
