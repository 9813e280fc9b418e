"""What a user of a scheduler writes against: clients, a worker node, and the errors they raise."""

from scheduler.engines.engine import Work, WorkFailed
from scheduler.messages import JobResult
from scheduler.sdk.client import Client, Started
from scheduler.sdk.errors import (
    ClientClosed,
    NameTaken,
    ProtocolMismatch,
    Refused,
    RequestRefused,
    SchedulerUnreachable,
    SdkError,
    SubmitRejected,
    TokenRefused,
    UnknownJob,
)
from scheduler.sdk.function import Node, worker
from scheduler.sdk.many import Done
from scheduler.sdk.sync_client import SyncClient, SyncStarted
from scheduler.sdk.worker_node import Worker

__all__ = [
    "Client",
    "ClientClosed",
    "Done",
    "JobResult",
    "NameTaken",
    "Node",
    "ProtocolMismatch",
    "Refused",
    "RequestRefused",
    "SchedulerUnreachable",
    "SdkError",
    "Started",
    "SubmitRejected",
    "SyncClient",
    "SyncStarted",
    "TokenRefused",
    "UnknownJob",
    "Work",
    "WorkFailed",
    "Worker",
    "worker",
]
