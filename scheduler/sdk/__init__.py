"""The public API for users of a scheduler: clients, a worker node, and the errors they raise."""

from voxpool.scheduler.engines.engine import Batch, Work, WorkFailed
from voxpool.scheduler.protocol.messages import JobResult, Partial
from voxpool.scheduler.sdk.client import Client, Started
from voxpool.scheduler.sdk.errors import (
    ClientClosed,
    NameTaken,
    ProtocolMismatch,
    Refused,
    RequestRefused,
    SchedulerUnreachable,
    SdkError,
    SetupFailed,
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
    "Batch",
    "Client",
    "ClientClosed",
    "Done",
    "HttpClient",
    "JobResult",
    "NameTaken",
    "Partial",
    "ProtocolMismatch",
    "Refused",
    "RequestRefused",
    "SchedulerUnreachable",
    "SdkError",
    "SetupFailed",
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
