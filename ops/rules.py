"""The alert rules as data. Durations are written in angle brackets so that render.py can scale them: <5m> is a
duration, <5m in s> the same as a number of seconds.

Every rule has a section of its name in docs/runbook.md.
"""

from __future__ import annotations

from dataclasses import dataclass

CRITICAL = "critical"
"""Jobs are lost or not processed: page somebody."""
WARNING = "warning"
"""The service gets worse or wastes work: look at it the same day."""

REFUSED_FOR_WANT_OF_ROOM = "jobs_max|audio_total_bytes_max|result_waiters_max|waiting_max|overloaded|no_node"
"""Rejections because the scheduler is full. A wrong submit, or one client that is too fast, raises no alert."""
NOT_LET_IN_FOR_WANT_OF_ROOM = "connections_max|sessions_max"
"""The same for connections."""


@dataclass(frozen=True)
class Rule:
    """One alert. `holds` is how long the expression must be true; `todo` says what to do first."""

    name: str
    severity: str
    expression: str
    holds: str
    summary: str
    todo: str


RULES = (
    Rule(
        "VoxpoolDown",
        CRITICAL,
        'up{job=~"voxpool.*"} == 0',
        "<1m>",
        "{{ $labels.instance }} does not answer scrapes",
        "Clients and nodes can't reach it either, unless only /metrics is shut off (a token, a firewall). Look whether "
        "the process runs and what its last log lines say; jobs in its memory are submitted again by their clients.",
    ),
    Rule(
        "VoxpoolRestarts",
        WARNING,
        "resets(voxpool_loop_lag_seconds_count[<10m>]) >= 2",
        "<0s>",
        "{{ $labels.instance }} restarted {{ $value }} times in ten minutes",
        "Each restart loses the jobs in memory. Its log says why it ended: scheduler_failed names the error.",
    ),
    Rule(
        "VoxpoolPoolWithoutNodes",
        CRITICAL,
        "voxpool_pool_nodes == 0\n"
        "and on (job, instance, pair)\n"
        "  (voxpool_jobs_waiting > 0 or increase(voxpool_jobs_submitted_total[<5m>]) > 0)\n"
        "unless on (job, pair)\n"
        '  (voxpool_pool_nodes > 0 and on (job, instance) voxpool_build_info{jobs="redis"})',
        "<1m>",
        "no node serves {{ $labels.pair }}",
        "Submits of the pair are refused (no_node), or fail after waiting_timeout_s where schedulers share their jobs. "
        "Start nodes for it, or find out why they left (node_offline, node_refused in the log).",
    ),
    Rule(
        "VoxpoolTooFewNodes",
        WARNING,
        "sum by (job, pair) (voxpool_nodes_wanted)\n> 1.2 * (sum by (job, pair) (voxpool_pool_nodes) > 0)",
        "<5m>",
        "the jobs of {{ $labels.pair }} need {{ $value | humanize }} nodes, more than there are",
        "What waits would take its nodes more than six seconds. Where nodes are started by this number, the autoscaler "
        "is at its maximum, or new nodes find no machine or no scheduler.",
    ),
    Rule(
        "VoxpoolWaitingGrows",
        WARNING,
        "sum by (job, instance, pair) (min_over_time(voxpool_jobs_waiting[<2m>])) > 0\n"
        "and on (job, instance, pair)\n"
        "  sum by (job, instance, pair) (rate(voxpool_jobs_submitted_total[<5m>]))\n"
        "  > 1.05 * (\n"
        "    sum by (job, instance, pair)\n"
        '      (rate(voxpool_jobs_ended_total{reason!~"waiting_timeout|expired"}[<5m>]))\n'
        "    or 0 * sum by (job, instance, pair) (rate(voxpool_jobs_submitted_total[<5m>]))\n"
        "  )",
        "<2m>",
        "jobs of {{ $labels.pair }} come faster than they are done, {{ $value }} wait",
        "The pool is too small for its traffic. Add nodes or slots for the pair, or look for nodes that became slow.",
    ),
    Rule(
        "VoxpoolWaitP99",
        WARNING,
        "histogram_quantile(0.99, sum by (job, instance, le) (rate(voxpool_wait_seconds_bucket[<5m>]))) > <5s in s>",
        "<2m>",
        "one job in a hundred waits longer than {{ $value | humanizeDuration }} for a node",
        "Users feel it, and at waiting_timeout_s (10 s unless set) jobs fail. Look which pair waits, and whether its "
        "nodes are slow, few, or resting.",
    ),
    Rule(
        "VoxpoolBandStarves",
        WARNING,
        "min_over_time(voxpool_oldest_waiting_seconds[<2m>]) > <5s in s>\n"
        "and on (job, instance, priority)\n"
        "  10 * increase(voxpool_job_starts_total[<2m>])\n"
        "  < on (job, instance) group_left ()\n"
        "    sum by (job, instance) (increase(voxpool_job_starts_total[<2m>]))",
        "<1m>",
        "jobs of priority {{ $labels.priority }} wait {{ $value | humanizeDuration }}, and the slots go to others",
        "Priorities are strict: what waits below gets what is left. Look who fills the bands above (voxpool waiting), "
        "and add slots, or keep its token at the end with priority_min.",
    ),
    Rule(
        "VoxpoolRedispatchStorm",
        WARNING,
        "sum by (job, instance) (rate(voxpool_redispatches_total[<5m>]))\n"
        '  > 0.1 * sum by (job, instance) (rate(voxpool_dispatches_total{result="sent"}[<5m>]))\n'
        "and sum by (job, instance) (increase(voxpool_redispatches_total[<5m>])) > 10",
        "<2m>",
        "more than one attempt in ten is given up, {{ $value | humanize }} a second",
        "The reason label says why: closed and lapsed are nodes that die, timeout is slow ones, busy is slots that "
        "promise too much, error is a broken engine.",
    ),
    Rule(
        "VoxpoolLateResults",
        WARNING,
        "sum by (job, instance) (rate(voxpool_late_results_total[<5m>]))\n"
        '  > 0.01 * sum by (job, instance) (rate(voxpool_dispatches_total{result="sent"}[<5m>]))\n'
        "and sum by (job, instance) (increase(voxpool_late_results_total[<5m>])) > 5",
        "<2m>",
        "nodes finish work that no longer counts, {{ $value | humanize }} a second",
        "The work is paid for twice. Nodes take longer than dispatch_timeout_s, freeze for longer than lease_s, or "
        "ignore cancels; late_result in the log names them.",
    ),
    Rule(
        "VoxpoolJobsFail",
        WARNING,
        'sum by (job, instance, pair) (rate(voxpool_jobs_ended_total{state="failed"}[<5m>]))\n'
        "  > 0.05 * sum by (job, instance, pair) (rate(voxpool_jobs_ended_total[<5m>]))\n"
        'and sum by (job, instance, pair) (increase(voxpool_jobs_ended_total{state="failed"}[<5m>])) > 5',
        "<2m>",
        "more than one job in twenty of {{ $labels.pair }} fails, {{ $value | humanize }} a second",
        "The reason label of voxpool_jobs_ended_total says why: waiting_timeout is a lack of nodes, attempts_max "
        "nodes that die or time out, engine_error and the others the engine.",
    ),
    Rule(
        "VoxpoolSubmitsRefused",
        WARNING,
        "sum by (job, instance, reason) (\n"
        f'  increase(voxpool_jobs_rejected_total{{reason=~"{REFUSED_FOR_WANT_OF_ROOM}"}}[<5m>])\n'
        f'  or increase(voxpool_connections_refused_total{{reason=~"{NOT_LET_IN_FOR_WANT_OF_ROOM}"}}[<5m>])\n'
        ") > 0",
        "<2m>",
        "submits or connections are refused: {{ $labels.reason }} is reached",
        "The scheduler protects itself; clients are told when to try again. Add nodes, or raise the bound if there is "
        "memory for it.",
    ),
    Rule(
        "VoxpoolStoreDown",
        CRITICAL,
        "voxpool_store_up == 0",
        "<30s>",
        "the store of {{ $labels.instance }} does not answer",
        "No job gets a node until it answers; running ones go on. Look at the Redis: does it run, is it reachable, is "
        "it full, is it a replica? store_failed in the log has its words.",
    ),
    Rule(
        "VoxpoolPartitionsFailing",
        CRITICAL,
        "voxpool_partitions_failing > 0",
        "<30s>",
        "{{ $labels.instance }} can't reach {{ $value }} partitions of the jobs in Redis",
        "Jobs of their pairs stand still; the other pairs go on. At one scheduler: its network. At all of them: a "
        "primary is away and has no replica, or the fail-over hangs. store_failed in the log has Redis' words.",
    ),
    Rule(
        "VoxpoolSchedulerLapsed",
        WARNING,
        "sum by (job, instance) (increase(voxpool_scheduler_lapses_total[<10m>])) > 0",
        "<0s>",
        "{{ $labels.instance }} was silent in Redis for longer than its lease",
        "Others ran its jobs again, and what its nodes answer for them is void. It was stopped or starved of CPU, "
        "Redis was away for as long, or clocks differ: look at the loop lag, and at store_failed in the log.",
    ),
    Rule(
        "VoxpoolJobsAdopted",
        WARNING,
        "sum by (job, instance) (increase(voxpool_jobs_adopted_total[<10m>])) > 0",
        "<0s>",
        "{{ $labels.instance }} took {{ $value | humanize }} jobs back from schedulers that died",
        "They run again, so nothing is lost; but a scheduler ended without giving back what it had. jobs_adopted in "
        "the log names it: was it killed (memory, no time to drain), or silent for longer than its lease?",
    ),
    Rule(
        "VoxpoolScriptErrors",
        WARNING,
        "sum by (job, instance, script) (increase(voxpool_script_errors_total[<5m>])) > 3",
        "<0s>",
        "calls of {{ $labels.script }} get no good answer",
        "The store refuses or breaks off: out of memory, a replica, a network that flaps. store_failed in the log has "
        "its words. A script that raises ends the scheduler: see VoxpoolRestarts.",
    ),
    Rule(
        "VoxpoolCleanupNotRunning",
        WARNING,
        "voxpool_cleanup_interval_seconds == 0\n"
        "or time() - voxpool_cleanup_last_run_timestamp_seconds > 3 * voxpool_cleanup_interval_seconds + <1m in s>",
        "<1m>",
        "finished jobs are not removed",
        "Memory grows with every job until finished_max. cleanup_interval_s is 0, or the loop is blocked.",
    ),
    Rule(
        "VoxpoolResidentJobsAboveBound",
        WARNING,
        "sum by (job, instance) (voxpool_jobs_resident) > on (job, instance) voxpool_jobs_resident_bound",
        "<2m>",
        "{{ $value }} jobs are in the table, more than Little's law allows",
        "Jobs stay longer than retention_s and a clean-up: a leak. Compare with voxpool_jobs_resident_predicted and "
        "look at voxpool_cleanup_removed_total.",
    ),
    Rule(
        "VoxpoolLoopLag",
        WARNING,
        "histogram_quantile(0.99, sum by (job, instance, le) (rate(voxpool_loop_lag_seconds_bucket[<5m>]))) > 0.25",
        "<1m>",
        "the event loop of {{ $labels.instance }} is late by {{ $value | humanizeDuration }}",
        "Every message and every deadline waits as long. The process is starved of CPU, swaps, or was stopped; more "
        "than a heartbeat of it ends leases.",
    ),
)
