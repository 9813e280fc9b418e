"""All operations of HTTP, one entry each, for /openapi.json and /docs. A test compares them with the routes.

Who adds a route adds its entry here, and the status of a new reason to problems.py. How it becomes a document is
openapi_frame.py's part.
"""

from __future__ import annotations

from voxpool.leakgate.inside.door import SWITCHES, TYPES_MAX
from voxpool.leakgate.inside.report import MemoryReport
from voxpool.leakgate.inside.tracing import FRAMES_MAX, TRACE_SECONDS_MAX, Trace
from voxpool.scheduler.config import ATTEMPTS_LIMIT, BACKOFF_MS_LIMIT, PRIORITY, PRIORITY_MAX, REDIS, Settings, ms
from voxpool.scheduler.core.jobs.job_list import NUMBER, STATES
from voxpool.scheduler.core.jobs.reasons import SUBMIT_REFUSALS
from voxpool.scheduler.protocol.answers import JobPage, JobView, NodeView, WaitingView
from voxpool.scheduler.protocol.field_types import TIMEOUT_MS_MAX
from voxpool.scheduler.telemetry.checkup import Checkup
from voxpool.scheduler.web import assets
from voxpool.scheduler.web.fleet_views import PAGE_MAX as NODES_PAGE_MAX
from voxpool.scheduler.web.fleet_views import NodePage, PoolPage, Status
from voxpool.scheduler.web.jobs import PAGE_MAX
from voxpool.scheduler.web.openapi.document import FORM, Answer, Operation, Parameter, Schema, ref
from voxpool.scheduler.web.requests.bodies import JobRequest
from voxpool.scheduler.web.requests.query import SECONDS_MAX
from voxpool.scheduler.web.waiting import TOP, TOP_MAX
from voxpool.scheduler.web.why import WhyView

NAME: Schema = {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}
LINE: Schema = {"type": "string"}
PAIR: Schema = {"type": "string", "pattern": "^[a-z0-9-]{1,16}:[a-z0-9-]{1,16}$", "examples": ["zh:en"]}
ANY_ID: Schema = {"type": "string", "minLength": 1}
WAV: Schema = {"type": "string", "contentMediaType": "audio/wav"}
TEXTS = ("text/plain", "application/openmetrics-text")
BAD_AUDIO = ("empty_audio", "audio_too_large", "not_audio", "incomplete_audio")
BAD_BODY = ("bad_content_type", "broken_json", "bad_multipart", "bad_audio", "bad_message")

_job_id = Parameter("job_id", "The id that the submit returned.", ANY_ID, "path")
_node_id = Parameter("node_id", "The name that the node registered.", ANY_ID, "path")
_cursor = Parameter("cursor", "next_cursor of the page before.", {"type": "integer", "minimum": 0, "maximum": 10**9})


def operations(settings: Settings) -> list[Operation]:
    """Return all operations, in the order in which they are shown."""
    return [*_jobs(settings), *_fleet(), *_service(), *_sockets(), *_pages()]


def _jobs(settings: Settings) -> list[Operation]:
    seconds: Schema = {"type": "number", "minimum": 0, "maximum": SECONDS_MAX}
    wait = Parameter("wait_s", f"Seconds to wait for the end of the job, at most {settings.wait_s_max:g}.", seconds)
    # One place, or one a partition where the jobs are in Redis.
    places = NUMBER + (rf"(\.{NUMBER}){{{settings.partitions - 1}}}" if settings.jobs == REDIS else "")
    number: Schema = {"type": "integer", "minimum": 1, "maximum": TIMEOUT_MS_MAX}
    attempts: Schema = {"type": "integer", "minimum": 1, "maximum": ATTEMPTS_LIMIT}
    pause: Schema = {"type": "integer", "minimum": 0, "maximum": BACKOFF_MS_LIMIT}
    priority: Schema = {"type": "integer", "minimum": 1, "maximum": PRIORITY_MAX}
    fields: dict[str, Schema] = {
        "pair": PAIR,
        "session": NAME,
        "request_id": NAME,
        "timeout_ms": number,
        "wait_s": seconds,
        "why": {"type": "boolean"},
        "attempts_max": attempts,
        "backoff_ms": pause,
        "priority": priority,
        "key": NAME,
    }
    form: Schema = {"type": "object", "required": ["audio"], "properties": {"audio": WAV, **fields}}
    there = {"Location": "Path of the job."}
    return [
        Operation(
            "POST",
            "/v1/jobs",
            "Submit a job. The body is a WAV file, a form with one file, or JSON with the file as base64; pair and the "
            "other parameters may stand in the query or in the body, but not in both.",
            {
                200: Answer("The job, which has ended within wait_s.", JobView, headers=there),
                202: Answer("The job, which is accepted.", JobView, headers=there),
            },
            parameters=[
                Parameter("pair", "Language pair, source:target; needed here or in the body.", PAIR),
                Parameter("session", "Jobs of one session go to the same node as far as possible.", NAME),
                wait,
                Parameter("timeout_ms", "The job fails unless it has ended by then.", number),
                Parameter("why", "Keep the decisions about this job.", {"type": "boolean"}),
                Parameter(
                    "attempts_max",
                    f"Attempts that may fail or be lost before the job fails; {settings.attempts_max} unless given.",
                    attempts,
                ),
                Parameter(
                    "backoff_ms",
                    "Pause before the next attempt after a worker's error; it doubles each time, up to "
                    f"{settings.backoff_max_s:g} s. {ms(settings.backoff_s)} unless given.",
                    pause,
                ),
                Parameter(
                    "priority",
                    f"1 comes first, {PRIORITY} is the default; it counts when the setting order is fair.",
                    priority,
                ),
                Parameter("key", "Whose turn the job takes below its token, for a token that may name keys.", NAME),
                Parameter("request_id", "The same one again makes no second job.", NAME),
                Parameter("Idempotency-Key", "The request_id as a header; give one of the two.", NAME, "header"),
                Parameter("traceparent", "The span (W3C trace context) that the job belongs under.", LINE, "header"),
            ],
            bodies={
                "audio/wav": WAV,
                "application/octet-stream": WAV,
                FORM: form,
                "application/json": ref(JobRequest),
            },
            files={"audio": "audio/wav"},
            records=(JobRequest,),
            reasons=(
                *("bad_pair", "bad_session_id", "bad_request_id", "bad_wait_s", "bad_timeout_ms", "bad_why"),
                *("bad_attempts_max", "bad_backoff_ms", "bad_priority", "bad_key"),
                *(*BAD_BODY, *BAD_AUDIO, "request_id_conflict"),
            ),
            passing=tuple(reason for reason, known in SUBMIT_REFUSALS.items() if known.retryable),
        ),
        Operation(
            "GET",
            "/v1/jobs",
            "List the jobs, newest first, without outputs. A page may be short, even empty, and have a next_cursor.",
            {200: Answer("A page of jobs.", JobPage)},
            parameters=[
                Parameter("state", "Only jobs in this state.", {"enum": list(STATES)}),
                Parameter("limit", "Jobs of a page.", {"type": "integer", "minimum": 1, "maximum": PAGE_MAX}),
                Parameter("cursor", "next_cursor of the page before.", {"type": "string", "pattern": f"^{places}$"}),
            ],
            reasons=("bad_state", "bad_limit", "bad_cursor"),
            passing=("store_unavailable",),
        ),
        Operation(
            "GET",
            "/v1/jobs/{job_id}",
            "Show a job. With wait_s once it has ended or that time is over.",
            {200: Answer("The job.", JobView)},
            parameters=[_job_id, wait],
            reasons=("unknown_job", "bad_wait_s"),
            passing=("result_waiters_max", "store_unavailable"),
        ),
        Operation(
            "DELETE",
            "/v1/jobs/{job_id}",
            "Cancel a job. One that has ended stays as it is.",
            {200: Answer("The job.", JobView)},
            parameters=[_job_id],
            reasons=("unknown_job",),
            passing=("store_unavailable",),
        ),
        Operation(
            "GET",
            "/v1/jobs/{job_id}/why",
            "Show why a job went to its node, or waits: for jobs submitted with why and for jobs that fail.",
            {200: Answer("What was decided, and the pool of the job as it is now.", WhyView)},
            parameters=[_job_id],
            reasons=("unknown_job",),
            passing=("store_unavailable",),
        ),
    ]


def _fleet() -> list[Operation]:
    return [
        Operation(
            "GET",
            "/v1/nodes",
            "List the connected nodes.",
            {200: Answer("A page of nodes.", NodePage)},
            parameters=[
                Parameter("limit", "Nodes of a page.", {"type": "integer", "minimum": 1, "maximum": NODES_PAGE_MAX}),
                _cursor,
            ],
            reasons=("bad_limit", "bad_cursor"),
        ),
        Operation(
            "POST",
            "/v1/nodes/{node_id}/drain",
            "Give a node no new jobs, or with on=false jobs again. It keeps those that it has.",
            {200: Answer("The node.", NodeView)},
            parameters=[_node_id, Parameter("on", "true unless given.", {"type": "boolean"})],
            reasons=("unknown_node", "bad_on"),
        ),
        Operation(
            "GET",
            "/v1/pools",
            "Sum up the nodes and the waiting jobs of each language pair.",
            {200: Answer("A page of pools, by pair.", PoolPage)},
            parameters=[
                Parameter("limit", "Pools of a page.", {"type": "integer", "minimum": 1, "maximum": NODES_PAGE_MAX}),
                Parameter("cursor", "next_cursor of the page before.", PAIR),
            ],
            reasons=("bad_limit", "bad_cursor"),
        ),
        Operation(
            "GET",
            "/v1/waiting",
            "Count the waiting jobs by priority, and name the keys with most of them: tokens, and keys of gateways.",
            {200: Answer("Whose jobs wait, at this moment.", WaitingView)},
            parameters=[
                Parameter(
                    "top",
                    f"Keys that are named; {TOP} unless given.",
                    {"type": "integer", "minimum": 1, "maximum": TOP_MAX},
                ),
            ],
            reasons=("bad_top",),
        ),
    ]


def _service() -> list[Operation]:
    return [
        Operation(
            "GET",
            "/healthz",
            "Answer that the process lives.",
            {200: Answer("It does.", Status)},
        ),
        Operation(
            "GET",
            "/readyz",
            "Answer whether jobs can be placed: not while the store does not answer, or once the scheduler stops.",
            {200: Answer("They can.", Status)},
            passing=("store_unavailable", "stopping"),
        ),
        Operation(
            "GET",
            "/v1/dashboard",
            "Watch the scheduler: server-sent events, first `past` (the last minutes), then `now` each second.",
            {200: Answer("The stream; it ends when the scheduler stops.", media_types=("text/event-stream",))},
            parameters=[
                Parameter(
                    "snapshots",
                    "End after this number of `now` events.",
                    {"type": "integer", "minimum": 1, "maximum": 10**9},
                ),
            ],
            reasons=("bad_snapshots",),
            passing=("viewers_max", "stopping"),
        ),
        Operation(
            "GET",
            "/v1/debug/memory",
            "Report what the memory of the scheduler is made of.",
            {200: Answer("The report.", MemoryReport)},
            parameters=[
                Parameter("gc", "1 collects garbage first.", {"type": "integer", "minimum": 0, "maximum": 1}),
                Parameter("types", "Types that are named.", {"type": "integer", "minimum": 0, "maximum": TYPES_MAX}),
                Parameter(
                    "sizes",
                    "1 adds the bytes of all objects by type, which takes some seconds.",
                    {"type": "integer", "minimum": 0, "maximum": 1},
                ),
                Parameter("trace", "top adds the source lines that grew; tracing must be on.", {"enum": ["top"]}),
            ],
            reasons=("bad_gc", "bad_types", "bad_sizes", "bad_trace", "trace_state"),
        ),
        Operation(
            "POST",
            "/v1/debug/memory",
            "Switch the tracing of allocations: start it, count growth from now on (mark), stop it. It slows the "
            "scheduler down, makes allocated bytes unreadable and stops by itself.",
            {200: Answer("Its state.", Trace)},
            parameters=[
                Parameter("trace", "What to do.", {"enum": list(SWITCHES)}, required=True),
                Parameter(
                    "frames",
                    "Source lines for each place: of the allocation, then of its callers; for start.",
                    {"type": "integer", "minimum": 1, "maximum": FRAMES_MAX},
                ),
                Parameter(
                    "seconds",
                    "Time after which it stops by itself, 15 minutes by default; for start.",
                    {"type": "integer", "minimum": 1, "maximum": TRACE_SECONDS_MAX},
                ),
            ],
            reasons=("bad_trace", "bad_frames", "bad_seconds", "trace_state"),
        ),
        Operation(
            "GET",
            "/v1/debug/checkup",
            "Show settings, limits of the system and facts about the store, for `voxpool doctor`.",
            {200: Answer("How things are.", Checkup)},
        ),
        Operation(
            "GET",
            "/metrics",
            "The metrics for Prometheus, in its text format or in that of OpenMetrics, as the Accept header prefers.",
            {200: Answer("The metrics.", media_types=TEXTS)},
        ),
    ]


def _sockets() -> list[Operation]:
    doors = {"/ws/session": "clients", "/ws/node": "worker nodes"}
    return [
        Operation(
            "GET",
            path,
            f"The WebSocket of {who}. Its messages, in JSON or MessagePack, are in docs/protocol.md.",
            {101: Answer("From here on it is a WebSocket.")},
            reasons=("upgrade_required",),
        )
        for path, who in doors.items()
    ]


def _pages() -> list[Operation]:
    """The pages and files for browsers, and this document itself."""
    folders, files = ([*dict.fromkeys(file.split("/")[part] for file in assets.FILES)] for part in (0, 1))
    kinds = tuple(sorted({assets.media_type_of(file) for file in assets.FILES}))
    unchanged = {304: Answer("It is the one that the browser has.")}
    return [
        Operation(
            "GET",
            "/openapi.json",
            "This document.",
            {200: Answer("OpenAPI 3.1.", media_types=("application/json",))},
        ),
        Operation(
            "GET",
            "/docs",
            "This document as a page to read.",
            {200: Answer("A page.", media_types=("text/html",))},
        ),
        *(
            Operation(
                "GET",
                path,
                f"The page {file.split('/')[0]}, for browsers.",
                {200: Answer("The page.", media_types=(assets.media_type_of(file),)), **unchanged},
            )
            for path, file in assets.PAGES.items()
        ),
        Operation(
            "GET",
            assets.FILES_PATH,
            "A file that a page loads.",
            {200: Answer("The file.", media_types=kinds), **unchanged},
            parameters=[
                Parameter("folder", "The page, or what pages have in common.", {"enum": folders}, "path"),
                Parameter("file", "Its name; not every folder has every file.", {"enum": files}, "path"),
            ],
            reasons=("not_found",),
        ),
    ]
