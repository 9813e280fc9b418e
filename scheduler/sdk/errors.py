"""What the SDK raises: a class for each thing that the caller can do about it."""

from __future__ import annotations

from voxpool.scheduler.core.jobs.reasons import REFUSALS
from voxpool.scheduler.errors import VoxpoolError


class SdkError(VoxpoolError):
    """Whatever the SDK raises.

    `reason` is a stable snake_case word and `detail` says more to people. What is `retryable` may succeed when the same
    is asked again later; anything else won't.
    """

    reason = ""
    retryable = False

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class RequestRefused(SdkError):
    """The scheduler did not do what was asked: ask again after `retry_after_ms`, or, when that is None, otherwise."""

    def __init__(self, reason: str, detail: str, retry_after_ms: int | None) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.retry_after_ms = retry_after_ms
        self.retryable = retry_after_ms is not None


class SubmitRejected(RequestRefused):
    """The scheduler did not take a job: submit again after `retry_after_ms`, or, when that is None, something else."""


class UnknownJob(SdkError):
    """No job has that id, or no longer: finished ones are kept for `retention_s`. Submit the audio again if need be."""

    reason = "unknown_job"


class SchedulerUnreachable(SdkError):
    """No connection to the scheduler for longer than the caller wants to wait: check the URL, or wait longer."""

    reason = "unreachable"
    retryable = True


class ClientClosed(SdkError):
    """The client was closed before the answer came: keep it open until you have what you want, or open another."""

    reason = "client_closed"


class Refused(SdkError):
    """The scheduler does not want this client or node; trying the same again won't help."""

    advice = ""
    advice_on_command_line = ""
    """What a command says in its place, since a person there has flags and no arguments."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}{'; ' if self.advice else ''}{self.advice}")
        self.reason = reason
        self.detail = detail
        self.retryable = reason in PASSING


class TokenRefused(Refused):
    """The token is missing, unknown or of another role: give the right one."""

    advice = "give a token of the right role as token= or VOXPOOL_TOKEN; `voxpool token` makes one"
    advice_on_command_line = advice.replace("token=", "--token", 1)


class ProtocolMismatch(Refused):
    """Scheduler and SDK speak different versions: update the older of the two."""

    advice = "scheduler and SDK are of different versions: update the older one"


class NameTaken(Refused):
    """Another process is connected as this node: give this one another name, or stop that one."""


_BY_REASON: dict[str, type[Refused]] = {
    "unauthorized": TokenRefused,
    "forbidden": TokenRefused,
    "bad_protocol": ProtocolMismatch,
    "name_taken": NameTaken,
}
_BY_STATUS = {401: "unauthorized", 403: "forbidden"}
PASSING = frozenset(reason for reason, known in REFUSALS.items() if known.retryable)
"""Reasons for which a scheduler refuses a connection now and takes it later."""


def refusal(reason: str, detail: str) -> Refused:
    """Return the error for what the scheduler says, which does not pass by itself."""
    return _BY_REASON.get(reason, Refused)(reason, detail)


def refusal_of_status(status: int, detail: str) -> Refused | None:
    """Return the error for an HTTP status that won't change by trying again, such as 401; None for others."""
    reason = _BY_STATUS.get(status)
    return None if reason is None else refusal(reason, detail)
