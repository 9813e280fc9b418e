"""The catalogue of log events: every event of the scheduler with its level, meaning and fields.

No event carries audio, output or any other payload: ids, numbers and stable words only. docs/events.md is generated
from this (catalogue.py); a test compares it, and each call that writes an event, with this file.
"""

from __future__ import annotations

from enum import StrEnum

DEBUG, INFO, WARNING, ERROR = 10, 20, 30, 40
LEVELS = {"debug": DEBUG, "info": INFO, "warning": WARNING, "error": ERROR}
PER_SECOND_MAX = 50
"""Lines a second of one event that peers can cause at will; further ones are counted (log_limited)."""


class Event(StrEnum):
    """The name of an event in a log line. `fields` are its possible fields, explained by FIELDS."""

    level: int
    meaning: str
    fields: tuple[str, ...]
    is_limited: bool

    def __new__(cls, name: str, level: int, meaning: str, fields: str = "", is_limited: bool = False) -> Event:
        """Make a member that is its name and carries its level and meaning, and its fields (words in one text)."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.level = level
        member.meaning = meaning
        member.fields = tuple(fields.split())
        member.is_limited = is_limited
        return member

    SCHEDULER_STARTED = "scheduler_started", INFO, "it listens", "url store instance"
    SCHEDULER_STOPPING = (
        "scheduler_stopping",
        INFO,
        "a signal ends it, it takes no new jobs",
        "reason unfinished",
    )
    SCHEDULER_STOPPED = (
        "scheduler_stopped",
        INFO,
        "all connections are closed and the store is released",
        "ended handed_back",
    )
    SCHEDULER_FAILED = (
        "scheduler_failed",
        ERROR,
        "a role died, or another scheduler took the store: the process ends",
        "error",
    )
    OPEN_TO_ALL = (
        "open_to_all",
        ERROR,
        "no tokens are set and other machines reach it: any of them may do everything; set tokens",
        "url",
    )
    NOT_ENCRYPTED = (
        "not_encrypted",
        WARNING,
        "other machines reach it without TLS: tokens and audio can be read on the way, unless a proxy does TLS",
        "url",
    )
    FEW_OPEN_FILES = (
        "few_open_files",
        WARNING,
        "connections_max needs more open files than this process may have (ulimit -n, LimitNOFILE): it is lower now",
        "allowed wanted connections_max",
    )
    TOKENS_LOADED = (
        "tokens_loaded",
        INFO,
        "SIGHUP: the token file was read again, and the connections of removed tokens were closed",
        "tokens closed",
    )
    CERTIFICATE_LOADED = (
        "certificate_loaded",
        INFO,
        "SIGHUP: tls_cert and tls_key were read again; new connections use the new files",
    )
    RELOAD_FAILED = (
        "reload_failed",
        ERROR,
        "SIGHUP: a file can't be used; its earlier contents stay valid",
        "error",
    )
    JOB_SUBMITTED = (
        "job_submitted",
        DEBUG,
        "a job was accepted and waits",
        "job_id session_id pair audio_bytes trace_id",
    )
    JOB_REJECTED = "job_rejected", WARNING, "a submit was refused", "pair reason", True
    JOB_DISPATCHED = (
        "job_dispatched",
        DEBUG,
        "a job was sent to a node; logged for the first 8 attempts",
        "job_id attempt node_id waited_ms trace_id",
    )
    JOB_REDISPATCHED = (
        "job_redispatched",
        WARNING,
        "an attempt was given up, and the job waits again; logged for the first 8 attempts",
        "job_id attempt node_id reason trace_id",
    )
    JOB_ENDED = (
        "job_ended",
        INFO,
        "a job reached its final state",
        "job_id attempt node_id session_id pair audio_bytes state reason waited_ms total_ms trace_id",
    )
    JOB_REMOVED = "job_removed", DEBUG, "a finished job left the table", "job_id"
    JOB_FOUND_NOBODY = "job_found_nobody", DEBUG, "no node of the pair has room; the job waits", "job_id pair trace_id"
    LATE_RESULT = (
        "late_result",
        WARNING,
        "a result for an attempt that no longer counts; it changed nothing",
        "job_id attempt node_id trace_id",
        True,
    )
    STALE_ALLOCATION = (
        "stale_allocation",
        WARNING,
        "a slot of a node that isn't connected here was allocated and handed back; logged for the first 8 attempts",
        "job_id attempt node_id generation trace_id",
    )
    NODE_REGISTERED = (
        "node_registered",
        INFO,
        "a node takes jobs; of its pairs the first 16 are named",
        "node_id generation slots pairs pairs_total",
    )
    NODE_REFUSED = "node_refused", WARNING, "a node may not register", "node_id peer reason", True
    NODE_OFFLINE = "node_offline", INFO, "a node left", "node_id generation reason"
    NODE_RESTS = "node_rests", WARNING, "a node gets no new jobs for a time", "node_id until_ms reason", True
    SWEPT = "swept", DEBUG, "a slice of the clean-up removed finished jobs", "removed pause_ms"
    STORE_FAILED = (
        "store_failed",
        ERROR,
        "script calls got no answer, or an error, and are repeated; logged once for each error",
        "error",
    )
    STORE_RECOVERED = "store_recovered", INFO, "the store answers again"
    SCHEDULER_LAPSED = (
        "scheduler_lapsed",
        WARNING,
        "the lease of this scheduler had ended in a partition of Redis: others may have run its jobs there again",
        "partition",
    )
    JOBS_ADOPTED = (
        "jobs_adopted",
        WARNING,
        "another scheduler is dead: what its nodes had in a partition waits again",
        "scheduler jobs partition",
    )
    SESSION_OPENED = "session_opened", INFO, "a client sent hello", "session_id peer"
    SESSION_CLOSED = "session_closed", INFO, "a client's connection ended", "session_id goodbye unfinished"
    BAD_MESSAGE = (
        "bad_message",
        WARNING,
        "a peer sent what can't be used",
        "peer session_id node_id job_id reason",
        True,
    )
    CONNECTION_REFUSED = "connection_refused", WARNING, "a connection or request was refused", "peer reason", True
    PEER_ABORTED = "peer_aborted", WARNING, "a peer took nothing or broke a bound and was cut off", "peer reason", True
    WORKER = "worker", INFO, "a worker node reports what it does", "node_id message"
    HTTP_SERVER = (
        "http_server",
        WARNING,
        "a warning of a library, such as the HTTP server",
        "logger message error",
        True,
    )
    SPANS_LOST = (
        "spans_lost",
        WARNING,
        "spans of traces were not exported since the last such line: the receiver refuses them, or is too slow",
        "failed dropped error",
    )
    LOG_DROPPED = "log_dropped", WARNING, "lines are missing here: the reader of the log was too slow", "lines"
    LOG_LIMITED = (
        "log_limited",
        WARNING,
        f"an event came more than {PER_SECOND_MAX} times in a second; the other lines of it were left out",
        "of lines",
    )


FIELDS: dict[str, str] = {
    "allowed": "number of files that may be open",
    "attempt": "number of the attempt, from 1",
    "audio_bytes": "length of the audio, bytes",
    "connections_max": "the setting, as it is in force",
    "dropped": "number of spans that did not fit into the queue",
    "closed": "number of connections and requests",
    "ended": "number of jobs that ended since the signal",
    "error": "an exception: its class and text, or the end of its traceback",
    "failed": "number of spans that the receiver refused",
    "generation": "which registration of the node; a new one each time",
    "goodbye": "whether the client closed properly",
    "handed_back": "number of jobs that had to be given up",
    "instance": "name of this scheduler among those that share its jobs; `jobs_adopted` names it so",
    "job_id": "the job",
    "jobs": "number of jobs",
    "lines": "number of lines",
    "logger": "name of the library's logger",
    "message": "a sentence for people",
    "node_id": "the node",
    "of": "name of an event",
    "pair": "language pair, source:target",
    "pairs": "language pairs",
    "pairs_total": "number of pairs",
    "partition": "number of the partition, from 0",
    "pause_ms": "how long the loop was blocked, ms",
    "peer": "address:port of the other end",
    "reason": "a stable snake_case word; anything else from a node becomes `engine_error`",
    "removed": "number of finished jobs",
    "scheduler": "name of a scheduler; a new one each start",
    "session_id": "the client's session",
    "slots": "jobs that the node takes at a time",
    "state": "completed, failed or cancelled",
    "store": "the setting `store`",
    "tokens": "number of valid tokens",
    "total_ms": "from the submit to the end, ms",
    "trace_id": "the W3C trace that the job belongs to, when it is traced",
    "unfinished": "number of jobs that have not ended",
    "until_ms": "end of it, ms since 1970",
    "url": "where it listens",
    "waited_ms": "from the submit to this dispatch, or to the last one of a job that ended; ms",
    "wanted": "number of files that the settings need",
}
"""What each field means, the same in every event."""
