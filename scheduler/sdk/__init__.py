"""The public API for users of a scheduler: clients, a worker node, and the errors they raise."""

from voxpool.scheduler.engines.engine import Work, WorkFailed
from voxpool.scheduler.protocol.messages import JobResult
from voxpool.scheduler.sdk.client import Client, Started
from voxpool.scheduler.sdk.errors import (
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
from voxpool.scheduler.sdk.function import WorkerApp, worker
from voxpool.scheduler.sdk.http import HttpClient
from voxpool.scheduler.sdk.many import Done
from voxpool.scheduler.sdk.sync_client import SyncClient, SyncStarted
from voxpool.scheduler.sdk.worker_node import Worker

__all__ = [
    "Client",
    "ClientClosed",
    "Done",
    "HttpClient",
    "JobResult",
    "NameTaken",
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
    "WorkerApp",
    "worker",
]
