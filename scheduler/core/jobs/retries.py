"""What follows when an attempt of a job fails or is lost: another one, at once or after a pause, or none. Pure.

The rules are those of the settings attempts_max, backoff_s and backoff_max_s, which a submit may override for its job.
"""

from __future__ import annotations

from voxpool.scheduler.config import Settings, ms
from voxpool.scheduler.core.jobs.job import Job, RetryLimits

ERROR, BUSY, TIMEOUT = "error", "busy", "timeout"
ANSWERS = frozenset({BUSY, ERROR})
"""Reasons of a redispatch that the node itself gave; for the others it receives a cancel."""
LOSSES = {
    TIMEOUT: "no answer within dispatch_timeout_s",
    "closed": "the connection of the node closed",
    "lapsed": "the lease of the node ended",
    "assign_lost": "the node did not receive the job",
    "reregistered": "the node registered again without the job",
}
"""What people read of an attempt that was lost."""


class Retries:
    """Counts the attempts of jobs and sets their back-off."""

    def __init__(self, settings: Settings) -> None:
        self._usual = RetryLimits(settings.attempts_max, ms(settings.backoff_s))
        self._backoff_max_ms = ms(settings.backoff_max_s)

    def limits(self, attempts_max: int | None, backoff_ms: int | None) -> RetryLimits:
        """Return the limits of a new job with these wishes; None = the value of the settings."""
        if attempts_max is None and backoff_ms is None:
            return self._usual
        usual = self._usual
        return RetryLimits(
            usual.attempts_max if attempts_max is None else attempts_max,
            usual.backoff_ms if backoff_ms is None else backoff_ms,
        )

    def count(self, job: Job, reason: str, detail: str, now_ms: int) -> None:
        """Count an attempt of `job` that failed or was lost for `reason`; `detail` describes an error.

        After an error, which the node itself answered, the job pauses until `backoff_until_ms`: twice as long each
        time, up to backoff_max_s, and not after its last attempt. The waiting time-out counts from the end of the
        pause. An attempt that was lost costs no pause: another node may succeed at once.
        """
        job.redispatches += 1
        job.detail = detail or LOSSES.get(reason, reason)
        if reason == ERROR and job.attempts_left:
            pause_ms = min(job.limits.backoff_ms << job.redispatches - 1, self._backoff_max_ms)
            job.backoff_until_ms = now_ms + pause_ms if pause_ms else 0
        job.waits_from_ms = job.backoff_until_ms or now_ms
