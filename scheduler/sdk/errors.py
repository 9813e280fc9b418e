"""The errors of the SDK: a class for each remedy of the caller."""

from __future__ import annotations

from voxpool.scheduler.core.jobs.reasons import REFUSALS
from voxpool.scheduler.errors import VoxpoolError


class SdkError(VoxpoolError):
    """The base of the errors of the SDK.

    `reason` is a stable snake_case word and `detail` is a text for people. A `retryable` request may succeed
    when it is sent again unchanged; any other will not.
    """

    reason = ""
    retryable = False

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class RequestRefused(SdkError):
    """The scheduler refused a request: repeat it after `retry_after_ms`, or, when that is None, change it."""

    def __init__(self, reason: str, detail: str, retry_after_ms: int | None) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.retry_after_ms = retry_after_ms
        self.retryable = retry_after_ms is not None


class SubmitRejected(RequestRefused):
    """The scheduler refused a job: submit it again after `retry_after_ms`, or, when that is None, something else."""


class UnknownJob(SdkError):
    """No job has that id, or no longer: finished ones are kept for `retention_s`. Submit it again if needed."""

    reason = "unknown_job"


class SchedulerUnreachable(SdkError):
    """No connection to the scheduler for longer than the caller wants to wait: check the URL, or wait longer."""

    reason = "unreachable"
    retryable = True


class ClientClosed(SdkError):
    """The client was closed before the answer came: keep it open until you have what you want, or open another."""

    reason = "client_closed"


class SetupFailed(SdkError):
    """The function that a worker calls before it registers has raised: mend what its text names."""

    reason = "setup_failed"


class Refused(SdkError):
    """The scheduler refuses this client or node; trying the same again won't help."""

    advice = ""
    advice_on_command_line = ""
    """The text for a command line, where the user has flags in place of arguments."""

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
    """Scheduler and SDK have different versions of the protocol: update the older of the two."""

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
"""Reasons for which a scheduler refuses a connection now and may accept it later."""


def refusal(reason: str, detail: str) -> Refused:
    """Return the error for a refusal of the scheduler that is not temporary."""
    return _BY_REASON.get(reason, Refused)(reason, detail)


def refusal_of_status(status: int, detail: str) -> Refused | None:
    """Return the error for an HTTP status that won't change by trying again, such as 401; None for others."""
    reason = _BY_STATUS.get(status)
    return None if reason is None else refusal(reason, detail)
