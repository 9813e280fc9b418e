"""Every reason why a job ends without completing, or a submit or connection is refused: retryable or final. Pure.

Retryable means that the same request, sent again unchanged, may succeed later; final means that it won't. A reason that
is in no table here is final: input of the wrong form, or a reason of a worker's own for work that another attempt
would not change. The words are stable, and those of a worker must not be among those of `ENDS`.
"""

from __future__ import annotations

from typing import NamedTuple


class Reason(NamedTuple):
    """What a reason means to a client, and whether the same request may succeed later."""

    retryable: bool
    meaning: str


RETRYABLE, FINAL = True, False

WAITING_TIMEOUT = "waiting_timeout"
EXPIRED = "expired"
TOO_LATE = "too_late"
ATTEMPTS_MAX = "attempts_max"
STOPPING = "stopping"
"""Why a submit is refused, or a job handed back, by a scheduler that stops: the next scheduler may accept it."""
STORE_UNAVAILABLE = "store_unavailable"
NO_NODE = "no_node"
OUT_OF_MEMORY = "out_of_memory"
OVERLOADED = "overloaded"
SHARE = "share"
"""Why a submit is refused whose key has its part of the room, under the order `fair`."""
SESSION_GONE = "session_gone"
"""Why a job is cancelled whose client closed its session or stayed away for longer than the grace."""

ENDS: dict[str, Reason] = {
    WAITING_TIMEOUT: Reason(RETRYABLE, "it found no node in time"),
    NO_NODE: Reason(RETRYABLE, "no node of its pair was connected"),
    STORE_UNAVAILABLE: Reason(RETRYABLE, "the store did not answer"),
    STOPPING: Reason(RETRYABLE, "the scheduler stopped before it had ended"),
    EXPIRED: Reason(FINAL, "the timeout that its client gave it is over"),
    TOO_LATE: Reason(FINAL, "it still waited when too little of its client's timeout was left for its work"),
    ATTEMPTS_MAX: Reason(FINAL, "all of its attempts failed or were lost"),
    SESSION_GONE: Reason(RETRYABLE, "its client left, or stayed away for longer than the grace"),
    "cancelled": Reason(FINAL, "it was cancelled"),
    "engine_error": Reason(FINAL, "the worker's code raised an error"),
    "bad_output": Reason(FINAL, "the worker's output fits into no message"),
    "output_too_large": Reason(FINAL, "the worker's output is above the bound"),
}
"""Reasons of jobs that failed or were cancelled; beside these a worker gives reasons of its own, which are final."""
ENGINE_ERROR = "engine_error"
OF_WORKERS = frozenset({ENGINE_ERROR, "bad_output", "output_too_large"})
"""Those of `ENDS` that a worker may answer."""

SUBMIT_REFUSALS: dict[str, Reason] = {
    OVERLOADED: Reason(RETRYABLE, "the job would wait longer than its timeout"),
    NO_NODE: Reason(RETRYABLE, "no node of its pair is connected"),
    STORE_UNAVAILABLE: Reason(RETRYABLE, "the store does not answer"),
    STOPPING: Reason(RETRYABLE, "the scheduler stops"),
    SHARE: Reason(RETRYABLE, "the key has its part of the waiting or unfinished jobs, or of their audio"),
    "jobs_max": Reason(RETRYABLE, "too many jobs are unfinished"),
    "waiting_max": Reason(RETRYABLE, "too many jobs of the pair wait"),
    "audio_total_bytes_max": Reason(RETRYABLE, "the audio of the unfinished jobs takes too much memory"),
    "incoming_bytes_max": Reason(RETRYABLE, "too many bodies have come in part"),
    OUT_OF_MEMORY: Reason(RETRYABLE, "the machine has no memory for the body"),
    "result_waiters_max": Reason(RETRYABLE, "too many clients wait for results"),
    "unacknowledged_max": Reason(RETRYABLE, "the session has not acknowledged too many results"),
    "rate": Reason(RETRYABLE, "the token submits faster than its rate allows"),
    "request_id_conflict": Reason(FINAL, "the request id stands for another job"),
    "audio_too_large": Reason(FINAL, "the audio is above the bound"),
    "empty_audio": Reason(FINAL, "there is no audio"),
    "not_audio": Reason(FINAL, "the audio is no WAV file"),
    "incomplete_audio": Reason(FINAL, "the connection ended before the audio did"),
}
"""Reasons why a submit is refused; what is retryable comes with a time to retry."""

PEER_REFUSALS: dict[str, Reason] = {
    STOPPING: SUBMIT_REFUSALS[STOPPING],
    "connections_max": Reason(RETRYABLE, "too many connections are open"),
    "sessions_max": Reason(RETRYABLE, "too many sessions are open"),
    "nodes_max": Reason(RETRYABLE, "too many nodes are connected"),
    "viewers_max": Reason(RETRYABLE, "too many browsers watch the dashboard"),
    "store_behind": Reason(RETRYABLE, "too many calls wait for the store"),
    "bad_protocol": Reason(FINAL, "the peer is of another version"),
    "name_taken": Reason(FINAL, "another process is connected under the name of the node"),
    "unauthorized": Reason(FINAL, "the token is missing or unknown"),
    "forbidden": Reason(FINAL, "the token is of another role"),
}
"""Reasons why a client, a node or a browser is not let in."""

REFUSALS = {**SUBMIT_REFUSALS, **PEER_REFUSALS}


def end_is_retryable(reason: str) -> bool:
    """Return whether a job that ended for `reason` may succeed when it is submitted again unchanged."""
    found = ENDS.get(reason)
    return found is not None and found.retryable
