"""What the SDK raises."""

from __future__ import annotations

from scheduler.errors import VoxpoolError


class SubmitRejected(VoxpoolError):
    """The scheduler did not take a job. `retry_after_ms` is None when trying the same again is of no use."""

    def __init__(self, reason: str, detail: str, retry_after_ms: int | None) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.retry_after_ms = retry_after_ms


class SchedulerUnreachable(VoxpoolError):
    """No connection to the scheduler for longer than the caller wants to wait."""


class Refused(VoxpoolError):
    """The scheduler does not want this client or node, such as a second node of one name; trying again won't help."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
