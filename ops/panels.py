"""The dashboard as data: rows of panels, each with its queries. render.py turns it into a Grafana file.

Queries are PromQL without the label of the scheduler: render.py adds it to every metric of ours.
"""

from __future__ import annotations

from dataclasses import dataclass

RATE = "[$__rate_interval]"
"""The window of every rate: Grafana makes it four scrapes or more."""


@dataclass(frozen=True)
class Query:
    """One PromQL expression; `legend` names its series, with labels in {{}}.

    `exemplars`: its traces are shown as points.
    """

    expression: str
    legend: str
    exemplars: bool = False


@dataclass(frozen=True)
class Panel:
    """One chart. `unit` is Grafana's name of the unit; `text` says what to look for. `stacked` areas form a total."""

    title: str
    unit: str
    text: str
    queries: tuple[Query, ...]
    stacked: bool = False


def _rate(metric: str, label: str = "") -> str:
    by = f"sum by ({label}) " if label else "sum"
    return f"{by}(rate({metric}{RATE}))"


def _by(metric: str, label: str) -> tuple[Query, ...]:
    """Return one series, a second, for each value of `label`."""
    return (Query(_rate(metric, label), f"{{{{{label}}}}}"),)


def _now_by(metric: str, label: str) -> tuple[Query, ...]:
    return (Query(f"sum by ({label}) ({metric})", f"{{{{{label}}}}}"),)


def _quantiles(metric: str, exemplars: bool = False) -> tuple[Query, ...]:
    buckets = f"sum by (le) (rate({metric}_bucket{RATE}))"
    return tuple(
        Query(f"histogram_quantile({q}, {buckets})", f"p{q[2:]:0<2}", exemplars) for q in ("0.5", "0.9", "0.99")
    )


JOBS = (
    Panel(
        "Jobs a second",
        "ops",
        "Submitted and ended lie on each other while all is well.",
        (
            Query(_rate("voxpool_jobs_submitted_total"), "submitted"),
            Query(_rate("voxpool_jobs_ended_total", "state"), "{{state}}"),
        ),
    ),
    Panel(
        "Jobs by state",
        "short",
        "All jobs in the table. Finished ones stay for retention_s, so they are most.",
        _now_by("voxpool_jobs_resident", "state"),
        stacked=True,
    ),
    Panel(
        "Waiting jobs by pair",
        "short",
        "A line that rises is a pool too small for its traffic, or without nodes.",
        _now_by("voxpool_jobs_waiting", "pair"),
    ),
    Panel(
        "Waiting jobs by priority",
        "short",
        "With order = fair a priority waits for all above it; else all jobs have priority 3.",
        _now_by("voxpool_jobs_waiting", "priority"),
        stacked=True,
    ),
    Panel(
        "Oldest wait by priority",
        "s",
        "A line that stays up while jobs of another priority start: this one starves.",
        (Query("max by (priority) (voxpool_oldest_waiting_seconds)", "{{priority}}"),),
    ),
    Panel(
        "Keys with waiting jobs",
        "short",
        "Tokens, and keys that a gateway names.",
        (Query("sum by (instance) (voxpool_keys_waiting)", "{{instance}}"),),
    ),
    Panel(
        "Largest key's part of the waiting jobs",
        "percentunit",
        "Near 100 % with several keys: one of them floods the pool. `voxpool waiting` names it.",
        (Query("max by (instance) (voxpool_largest_key_part)", "{{instance}}"),),
    ),
    Panel(
        "Expected wait by pair",
        "s",
        "What a new job would wait. Where that is too near to its timeout, submits are refused as overloaded.",
        _now_by("voxpool_expected_wait_seconds", "pair"),
    ),
    Panel(
        "Wait",
        "s",
        "From the submit to the last dispatch, of jobs that completed.",
        _quantiles("voxpool_wait_seconds", exemplars=True),
    ),
    Panel(
        "Service",
        "s",
        "From the last dispatch to the end, of jobs that completed: nodes and network.",
        _quantiles("voxpool_service_seconds", exemplars=True),
    ),
    Panel(
        "Why jobs ended otherwise than completed",
        "ops",
        "waiting_timeout: no node in time. attempts_max: workers fail, die or time out. The others: engine or client.",
        _by('voxpool_jobs_ended_total{state!="completed"}', "reason"),
    ),
)
NODES = (
    Panel(
        "Nodes by state",
        "short",
        "resting: five errors in a row. draining: asked to stop.",
        _now_by("voxpool_nodes", "state"),
        stacked=True,
    ),
    Panel(
        "Slots",
        "short",
        "No free ones: jobs wait. closed: of nodes that drain or rest.",
        _now_by("voxpool_slots", "state"),
        stacked=True,
    ),
    Panel(
        "Nodes of each pool",
        "short",
        "A pair at 0 has nobody: its jobs fail.",
        _now_by("voxpool_pool_nodes", "pair"),
    ),
    Panel(
        "Wanted nodes of each pool",
        "short",
        "What its jobs need: above its nodes for long, more are needed, or the autoscaler does not follow.",
        _now_by("voxpool_nodes_wanted", "pair"),
    ),
    Panel(
        "Dispatches",
        "ops",
        "sent: to a node. nobody: no node had room. stale: of a node that is not connected here, after a restart.",
        _by("voxpool_dispatches_total", "result"),
    ),
    Panel(
        "Redispatches",
        "ops",
        "Attempts that were given up. closed, lapsed: nodes die. timeout: slow. busy: too many slots. error: engine.",
        _by("voxpool_redispatches_total", "reason"),
    ),
    Panel(
        "Late results",
        "ops",
        "Work that was done for an attempt that no longer counts.",
        (Query(_rate("voxpool_late_results_total"), "late"),),
    ),
)
TABLE = (
    Panel(
        "Jobs in the table against Little's law",
        "short",
        "Above the bound is a leak: the clean-up does not keep up, or is off.",
        (
            Query("sum(voxpool_jobs_resident)", "in the table"),
            Query("sum(voxpool_jobs_resident_predicted)", "predicted"),
            Query("sum(voxpool_jobs_resident_bound)", "bound"),
        ),
    ),
    Panel(
        "Clean-up",
        "ops",
        "Removed is as much as ended, a retention_s later. Evicted: finished_max was reached.",
        (
            Query(_rate("voxpool_cleanup_removed_total"), "removed"),
            Query(_rate("voxpool_jobs_evicted_total"), "evicted"),
        ),
    ),
    Panel(
        "Since the last clean-up",
        "s",
        "Rises to cleanup_interval_s and falls back.",
        (Query("time() - max by (instance) (voxpool_cleanup_last_run_timestamp_seconds)", "{{instance}}"),),
    ),
    Panel(
        "Memory",
        "bytes",
        "The process, and how much of it are jobs: audio of unfinished ones and the records of all.",
        (
            Query("sum by (instance) (voxpool_process_resident_memory_bytes)", "process {{instance}}"),
            Query("sum by (instance) (voxpool_jobs_resident_bytes)", "jobs {{instance}}"),
        ),
    ),
    Panel(
        "CPU",
        "percentunit",
        "Of one core, which is all that a scheduler can use.",
        (Query(_rate("voxpool_process_cpu_seconds_total", "instance"), "{{instance}}"),),
    ),
    Panel(
        "Event loop lag",
        "s",
        "What every message waits beside its work. Above 0.25 s it alerts.",
        _quantiles("voxpool_loop_lag_seconds"),
    ),
)
STORE = (
    Panel(
        "Store",
        "short",
        "1 while the store answers.",
        (Query("min by (instance) (voxpool_store_up)", "{{instance}}"),),
    ),
    Panel(
        "Scripts, p99",
        "s",
        "A flush to the store and back, for each kind of script in it.",
        (
            Query(
                f"histogram_quantile(0.99, sum by (script, le) (rate(voxpool_script_seconds_bucket{RATE})))",
                "{{script}}",
            ),
        ),
    ),
    Panel(
        "Script errors",
        "ops",
        "Calls without a good answer; they are repeated until they get one.",
        _by("voxpool_script_errors_total", "script"),
    ),
    Panel(
        "Bad answers of the store",
        "ops",
        "By what they mean: not_now passes; taken is foreign data under our keys; unknown is for the log to say.",
        _by("voxpool_store_failures_total", "meaning"),
    ),
    Panel(
        "Members in the store",
        "short",
        "Of each family of keys; they follow nodes and jobs, and leave with them.",
        _now_by("voxpool_store_keys", "family"),
    ),
    Panel(
        "Refused submits and connections",
        "ops",
        "By the bound that was reached, or what was wrong with the submit.",
        (
            Query(_rate("voxpool_jobs_rejected_total", "reason"), "submit: {{reason}}"),
            Query(_rate("voxpool_connections_refused_total", "reason"), "connection: {{reason}}"),
        ),
    ),
    Panel(
        "Peers that were cut off",
        "ops",
        "Clients and nodes that take nothing, don't answer pings, or send too much.",
        _by("voxpool_peers_aborted_total", "reason"),
    ),
    Panel(
        "Open files",
        "short",
        "A connection is one; at the limit no new one is taken.",
        (
            Query("sum by (instance) (voxpool_process_open_fds)", "open {{instance}}"),
            Query("sum by (instance) (voxpool_process_max_fds)", "limit {{instance}}"),
        ),
    ),
    Panel(
        "Trace spans",
        "ops",
        "failed: the receiver did not take them. dropped: too many waited. Nothing here while traces are off.",
        _by("voxpool_trace_spans_total", "result"),
    ),
)
SEVERAL = (
    Panel(
        "Partitions that can't be reached",
        "short",
        "Jobs of their pairs stand still. At one scheduler it is its network, at all of them it is Redis.",
        (Query("max by (instance) (voxpool_partitions_failing)", "{{instance}}"),),
    ),
    Panel(
        "Leases that ended",
        "ops",
        "A scheduler was silent for longer than its lease; others ran its jobs again.",
        _by("voxpool_scheduler_lapses_total", "instance"),
    ),
    Panel(
        "Jobs taken over",
        "ops",
        "From schedulers that died, by those that live.",
        _by("voxpool_jobs_adopted_total", "instance"),
    ),
)
ROWS: dict[str, tuple[Panel, ...]] = {
    "Jobs": JOBS,
    "Nodes": NODES,
    "Table and process": TABLE,
    "Store and doors": STORE,
    "Several schedulers": SEVERAL,
}
