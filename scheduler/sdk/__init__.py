"""What a user of a scheduler writes against: a client, a worker node, and the errors they raise."""

from scheduler.engines.engine import Work, WorkFailed
from scheduler.sdk.client import Client
from scheduler.sdk.errors import Refused, SchedulerUnreachable, SubmitRejected
from scheduler.sdk.worker import Worker

__all__ = ["Client", "Refused", "SchedulerUnreachable", "SubmitRejected", "Work", "WorkFailed", "Worker"]
