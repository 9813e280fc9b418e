"""The catalogue of log events: every event that the scheduler writes stands here, with its level and meaning.

No event carries audio, output or any other payload; ids, numbers and stable words only.
"""

from __future__ import annotations

from enum import StrEnum

DEBUG, INFO, WARNING, ERROR = 10, 20, 30, 40
LEVELS = {"debug": DEBUG, "info": INFO, "warning": WARNING, "error": ERROR}


class Event(StrEnum):
    """The name of an event, as it stands in a log line."""

    level: int
    meaning: str

    def __new__(cls, name: str, level: int, meaning: str) -> Event:
        """Make a member that is its name and carries its level and meaning."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.level = level
        member.meaning = meaning
        return member

    SCHEDULER_STARTED = "scheduler_started", INFO, "it listens; url, store"
    SCHEDULER_STOPPING = "scheduler_stopping", INFO, "a signal ends it, it takes no new jobs; reason, unfinished"
    SCHEDULER_STOPPED = (
        "scheduler_stopped",
        INFO,
        "all connections are closed and the store is released; since it stops so many jobs ended, handed_back",
    )
    SCHEDULER_FAILED = (
        "scheduler_failed",
        ERROR,
        "a role died, or another scheduler took the store: the process ends; error",
    )
    JOB_SUBMITTED = "job_submitted", INFO, "a job was accepted and waits; pair, audio_bytes"
    JOB_REJECTED = "job_rejected", WARNING, "a submit was refused; pair, reason"
    JOB_DISPATCHED = "job_dispatched", INFO, "a job was sent to a node; attempt, waited_ms"
    JOB_REDISPATCHED = "job_redispatched", WARNING, "an attempt was given up; attempt, node_id, reason"
    JOB_ENDED = "job_ended", INFO, "a job reached its final state; state, reason, attempt, total_ms"
    JOB_REMOVED = "job_removed", DEBUG, "a finished job left the table"
    JOB_FOUND_NOBODY = "job_found_nobody", DEBUG, "no node of the pair has room; the job waits"
    LATE_RESULT = "late_result", WARNING, "a result for an attempt that no longer counts; it changed nothing"
    VOID_GRANT = "void_grant", WARNING, "the store granted a node that isn't connected here; handed back"
    NODE_REGISTERED = "node_registered", INFO, "a node takes jobs; pairs, slots, generation"
    NODE_REFUSED = "node_refused", WARNING, "a node may not register; reason"
    NODE_OFFLINE = "node_offline", INFO, "a node left; reason"
    NODE_RESTS = "node_rests", WARNING, "a node gets no new jobs for a while; reason, until_ms"
    SWEPT = "swept", DEBUG, "finished jobs were removed; removed, pause_ms"
    STORE_FAILED = "store_failed", ERROR, "script calls got no answer and are repeated; error"
    STORE_RECOVERED = "store_recovered", INFO, "the store answers again"
    SESSION_OPENED = "session_opened", INFO, "a client said hello"
    SESSION_CLOSED = "session_closed", INFO, "a client's connection ended; code, cancelled"
    BAD_MESSAGE = "bad_message", WARNING, "a peer sent what can't be used; reason, peer"
    CONNECTION_REFUSED = "connection_refused", WARNING, "a connection was not let in; reason, peer"
    PEER_ABORTED = "peer_aborted", WARNING, "a peer took nothing or broke a bound and was cut off; reason, peer"
    WORKER = "worker", INFO, "a worker node tells what it does; message"
    HTTP_SERVER = "http_server", WARNING, "a word of the HTTP server; message"
