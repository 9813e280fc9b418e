"""All settings, each with its unit, default, bounds and reason; config_sources.py reads files and the environment."""

from __future__ import annotations

from typing import Annotated

import msgspec

SECONDS_MAX = 10**9
"""Thirty years. Timers and scripts take no longer time in ms."""
ATTEMPTS_LIMIT = 20
"""Most attempts that a setting or a submit may ask for: a job that kills its nodes costs as many."""
BACKOFF_MS_LIMIT = 60_000
"""Longest first pause between two attempts that a setting or a submit may ask for."""
PRIORITY_MAX, PRIORITY = 5, 3
"""The last of the priorities, of which 1 comes first, and the default."""
REDIS = "redis"
"""The value of the setting jobs under which several schedulers share their jobs."""
SUBMIT, FAIR = "submit", "fair"
"""The values of the setting order: waiting jobs start by age, or by priority and key."""
NUMBER_MAX = 10**15
"""The largest number that scripts and JSON represent exactly, with room for sums."""


def _setting(
    reason: str, unit: str, *, ge: float | None = None, gt: float | None = None, le: float | None = None
) -> msgspec.Meta:
    if le is None and (ge is not None or gt is not None):
        le = SECONDS_MAX if unit == "s" else NUMBER_MAX
    if gt is not None:
        return msgspec.Meta(description=reason, extra={"unit": unit}, gt=gt, le=le)
    return msgspec.Meta(description=reason, extra={"unit": unit}, ge=ge, le=le)


Origin = Annotated[str, msgspec.Meta(pattern=r"\Ahttps?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?\Z")]
"""Scheme, host and, unless it is the default, port of a page, as a browser sends it."""
Host = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9.:-]{1,253}\Z")]
"""A name or an address, without a port and in lower case."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of one scheduler. Names ending in _s are seconds, in _bytes are bytes."""

    host: Annotated[str, _setting("address to listen on; the default is reachable from this machine only", "")] = (
        "127.0.0.1"
    )
    port: Annotated[int, _setting("TCP port of HTTP and WebSocket; 0 picks a free one", "", ge=0, le=65535)] = 5010
    origins: Annotated[
        tuple[Origin, ...],
        _setting("pages from elsewhere that browsers may use this scheduler for; always its own", "origins"),
    ] = ()
    hosts: Annotated[
        tuple[Host, ...],
        _setting(
            "names that requests may have in Host when no tokens are set, beside localhost, the address that was "
            "connected to, and the hosts of origins; against DNS rebinding",
            "names",
        ),
    ] = ()
    store: Annotated[
        str,
        _setting(
            "embedded (a Valkey started by voxpool), memory, or redis://host:port/db; with jobs = redis also "
            "redis+cluster://host:port,host:port or redis+sentinel://host:port,host:port/name",
            "",
        ),
    ] = "embedded"
    jobs: Annotated[
        str,
        msgspec.Meta(
            description="where the jobs are: memory = in this scheduler, the only one of its store; redis = in the "
            "store, which several schedulers share",
            extra={"unit": ""},
            pattern=r"\A(memory|redis)\Z",
        ),
    ] = "memory"
    partitions: Annotated[
        int,
        _setting(
            "parts of the jobs in redis, each with the jobs of some pairs; the same for all schedulers of a store",
            "partitions",
            ge=1,
            le=1024,
        ),
    ] = 16
    acks: Annotated[
        int,
        _setting("replicas that must have what a client is told of its jobs in redis", "replicas", ge=0, le=1),
    ] = 0
    scheduler_lease_s: Annotated[
        float,
        _setting("how long a scheduler may be silent in redis; then others run its jobs again", "s", gt=0),
    ] = 10.0
    cleanup_interval_s: Annotated[
        float,
        _setting("time between sweeps of finished jobs; 0 = never, which leaks memory (to measure it)", "s", ge=0),
    ] = 60.0
    retention_s: Annotated[float, _setting("how long a finished job can be asked for, from its end", "s", ge=0)] = 300.0
    jobs_max: Annotated[int, _setting("unfinished jobs; past it a submit is refused", "jobs", ge=1)] = 100_000
    waiting_max: Annotated[
        int,
        _setting("waiting jobs of one pair; past it a submit is refused: it would time out", "jobs", ge=1),
    ] = 10_000
    finished_max: Annotated[
        int, _setting("finished jobs kept; past it the oldest is removed before its time; 0 = no bound", "jobs", ge=0)
    ] = 1_000_000
    audio_total_bytes_max: Annotated[int, _setting("audio of all unfinished jobs", "bytes", ge=1)] = 2 * 1024**3
    audio_bytes_max: Annotated[int, _setting("audio of one job", "bytes", ge=1)] = 10 * 1024**2
    output_bytes_max: Annotated[int, _setting("output of one job, encoded as JSON", "bytes", ge=1)] = 1024**2
    waiting_timeout_s: Annotated[float, _setting("a job that waits longer for a node fails", "s", gt=0)] = 10.0
    order: Annotated[
        str,
        msgspec.Meta(
            description="which waiting job of a pair is next: submit = the oldest; fair = by priority, then in turns "
            "between tokens and between the keys that submits name",
            extra={"unit": ""},
            pattern=r"\A(submit|fair)\Z",
        ),
    ] = "submit"
    late_factor: Annotated[
        float,
        _setting(
            "a waiting job fails as too_late when its timeout_ms leaves less than this many times the mean work of its "
            "pair; 0 = it waits until its time is over",
            "",
            ge=0,
        ),
    ] = 0.0
    store_refuse_s: Annotated[
        float,
        _setting("how long the store must fail, or hang for twice that, before submits are refused", "s", gt=0),
    ] = 1.0
    store_patience_s: Annotated[
        float,
        _setting("how long the waiting timeout of accepted jobs is paused while the store is away", "s", ge=0),
    ] = 300.0
    rate_window_s: Annotated[
        float,
        _setting(
            "time over which the starts of a full pair are counted; a submit that would wait too long is refused",
            "s",
            gt=0,
        ),
    ] = 15.0
    no_node_grace_s: Annotated[
        float,
        _setting(
            "how long a pair takes jobs after its last node left or the scheduler began; restarts take less",
            "s",
            ge=0,
        ),
    ] = 10.0
    dispatch_timeout_s: Annotated[
        float, _setting("how long a node may take to answer a job; then another node gets it", "s", gt=0)
    ] = 60.0
    attempts_max: Annotated[
        int,
        _setting(
            "attempts that fail or are lost before the job fails, busy nodes not counted; a submit may name it",
            "attempts",
            ge=1,
            le=ATTEMPTS_LIMIT,
        ),
    ] = 4
    backoff_s: Annotated[
        float,
        _setting(
            "pause after a worker's error before the next attempt, doubling each time; a submit may name it",
            "s",
            ge=0,
            le=BACKOFF_MS_LIMIT // 1000,
        ),
    ] = 0.5
    backoff_max_s: Annotated[float, _setting("longest such pause", "s", gt=0)] = 30.0
    heartbeat_s: Annotated[float, _setting("time between two beats of a node", "s", gt=0)] = 15.0
    lease_s: Annotated[
        float, _setting("how long a node may be silent before it counts as dead; three beats", "s", gt=0)
    ] = 45.0
    choices: Annotated[int, _setting("nodes drawn for a job; the least loaded one gets it", "nodes", ge=1, le=16)] = 2
    removals_max: Annotated[
        int, _setting("stale entries that one select call may remove; bounds its time in Redis", "", ge=1)
    ] = 1000
    select_batch_max: Annotated[
        int, _setting("jobs of one select call; bounds its arguments and the time Redis is held", "jobs", ge=1, le=100)
    ] = 100
    rest_after_failures: Annotated[
        int, _setting("errors and dispatch timeouts in a row; then a node rests; 0 = never", "", ge=0)
    ] = 5
    rest_s: Annotated[float, _setting("how long such a node gets no new jobs", "s", gt=0)] = 30.0
    busy_rest_s: Annotated[
        float, _setting("how long a node that answered busy gets no new jobs, unless it beats before", "s", gt=0)
    ] = 1.0
    sessions_max: Annotated[int, _setting("sessions whose last node is remembered", "sessions", ge=1)] = 100_000
    retry_after_s: Annotated[float, _setting("when a refused submit should be tried again", "s", gt=0)] = 1.0
    store_sweep_s: Annotated[
        float, _setting("time between sweeps for overdue reservations and ended leases", "s", gt=0)
    ] = 1.0
    nodes_max: Annotated[int, _setting("nodes connected at the same time", "nodes", ge=1)] = 200_000
    sweep_slice: Annotated[int, _setting("finished jobs removed before the loop gets its turn", "jobs", ge=1)] = 500
    timeouts_slice: Annotated[int, _setting("deadlines handled before the loop gets its turn", "jobs", ge=1)] = 500
    session_grace_s: Annotated[
        float,
        _setting(
            "longest time that a client may ask for to come back after its connection broke; then its jobs end",
            "s",
            ge=0,
        ),
    ] = 120.0
    unacknowledged_max: Annotated[
        int,
        _setting("results a session was sent and has not acknowledged; past it a submit is refused", "results", ge=1),
    ] = 10_000
    in_order_grace_s: Annotated[
        float, _setting("how long a session that wants its results in order waits for an earlier one", "s", ge=0)
    ] = 5.0
    in_order_held_max: Annotated[
        int, _setting("results that are held back for such a session; past it the gap is skipped", "", ge=1)
    ] = 1000
    wait_s_max: Annotated[float, _setting("longest wait_s of an HTTP request", "s", ge=0)] = 60.0
    result_waiters_max: Annotated[int, _setting("clients that wait for results, counted for each job", "", ge=1)] = (
        200_000
    )
    access_file: Annotated[
        str,
        _setting(
            "path of the file of tokens, which `voxpool token` writes; without it every client may do everything", ""
        ),
    ] = ""
    tls_cert: Annotated[
        str, _setting("path of a PEM file: the certificate and its chain, for https and wss; needs tls_key", "")
    ] = ""
    tls_key: Annotated[str, _setting("path of a PEM file: the certificate's private key", "")] = ""
    rate_per_s: Annotated[
        float,
        _setting("submits a second of one token, or of all clients when there are none; 0 = any", "1/s", ge=0),
    ] = 0.0
    rate_burst: Annotated[int, _setting("submits that such a token may send at once", "jobs", ge=1)] = 100
    connections_max: Annotated[
        int,
        _setting(
            "open connections of clients, nodes and HTTP; past it the oldest that has not shown who it is gives way, "
            "and when all have, a new one is answered 503",
            "",
            ge=1,
        ),
    ] = 50_000
    head_bytes_max: Annotated[
        int, _setting("request line and headers of one request; past it 431", "bytes", ge=1024, le=1024**2)
    ] = 32 * 1024
    headers_max: Annotated[int, _setting("headers of one request; past it 431", "", ge=10, le=1000)] = 100
    head_s: Annotated[float, _setting("a request whose headers are not complete by then is cut off", "s", gt=0)] = 5.0
    body_stall_s: Annotated[
        float, _setting("a body or message of which nothing comes for this time is cut off", "s", gt=0)
    ] = 20.0
    body_bytes_per_s_min: Annotated[
        int, _setting("a body or message that comes slower than this after body_stall_s is cut off", "bytes/s", ge=1)
    ] = 4096
    small_parts_per_s_max: Annotated[
        float,
        _setting(
            "control frames, fragments and chunks below 256 bytes that one peer may send a second over a longer time; "
            "past it the connection is closed: 1008, or 400",
            "1/s",
            ge=10,
        ),
    ] = 100.0
    incoming_bytes_max: Annotated[
        int,
        _setting(
            "bodies and messages that have come in part, of all peers; past it new parts are refused", "bytes", ge=1
        ),
    ] = 1024**3
    send_buffer_bytes_max: Annotated[
        int, _setting("bytes that wait to be sent to one peer; past it the peer is cut off", "bytes", ge=65536)
    ] = 64 * 1024**2
    send_stall_s: Annotated[float, _setting("a peer that takes nothing for this time is cut off", "s", gt=0)] = 10.0
    greeting_s: Annotated[float, _setting("time for the first message on a WebSocket", "s", gt=0)] = 10.0
    probe_s: Annotated[
        float, _setting("how long the older connection of a node may take to answer a ping", "s", gt=0)
    ] = 2.0
    why_every: Annotated[
        int,
        _setting("keep the decisions about each n-th job; 0 = only about jobs submitted with why", "jobs", ge=0),
    ] = 0
    why_jobs_max: Annotated[
        int, _setting("jobs whose decisions are kept; past it the oldest is forgotten; 0 = none", "jobs", ge=0)
    ] = 1000
    viewers_max: Annotated[
        int, _setting("browsers that watch the dashboard at the same time; they share one snapshot a second", "", ge=1)
    ] = 50
    log_sample: Annotated[
        int,
        _setting("log each n-th job whole, of the others warnings only; 1 = all, 0 = none", "jobs", ge=0),
    ] = 1
    log_buffer_bytes_max: Annotated[
        int, _setting("log lines that wait for a slow reader; past it they are dropped and counted", "bytes", ge=4096)
    ] = 4 * 1024**2
    traces_endpoint: Annotated[
        str, _setting("OTLP receiver (http/protobuf) of traces, such as http://127.0.0.1:4318; empty = no traces", "")
    ] = ""
    traces_sample: Annotated[
        float,
        _setting("share of jobs that are traced; a traceparent of the client decides for its job", "", ge=0, le=1),
    ] = 1.0
    traces_queue_max: Annotated[
        int, _setting("spans that wait for the receiver; past it they are dropped and counted", "spans", ge=1)
    ] = 20_000
    traces_timeout_s: Annotated[
        float,
        _setting("how long a batch of spans is sent to the receiver, with retries; then it is dropped", "s", gt=0),
    ] = 10.0
    drain_s: Annotated[
        float,
        _setting("time that jobs get to end at a stop; with stop_s below Kubernetes' 30 s", "s", ge=0),
    ] = 25.0
    stop_s: Annotated[
        float, _setting("time that connections, the store and the claim on it get after that", "s", ge=0)
    ] = 3.0

    def __post_init__(self) -> None:
        if self.lease_s <= self.heartbeat_s:
            raise ValueError(f"lease_s ({self.lease_s}) must be longer than heartbeat_s ({self.heartbeat_s})")
        if self.jobs == REDIS and self.store in ("embedded", "memory"):
            raise ValueError("jobs = redis needs a server that all schedulers reach: store = redis://HOST:PORT/DB")


def ms(seconds: float) -> int:
    """Return `seconds` as whole milliseconds, at least 1 for anything above 0."""
    return max(1, round(seconds * 1000)) if seconds > 0 else 0
