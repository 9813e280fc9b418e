"""The old intake: a submit is accepted while the bounds allow, even if it can't start in time."""

from __future__ import annotations

from voxpool.scheduler.core.admission.intake import Intake
from voxpool.scheduler.core.jobs.job import Share


class AcceptsAll(Intake):
    """Only the bounds on the number of jobs refuse a submit."""

    def _check_nodes(self, pair: str, now_ms: int) -> None:
        pass

    def _check_wait(
        self, name: str, request_key: str, timeout_ms: int | None, share: Share | None, now_ms: int
    ) -> None:
        pass
