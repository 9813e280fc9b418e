"""The cases of promtool for each alert: series of a scheduler that is healthy for ten minutes, broken for ten, and
healed.

Values are in promtool's notation, one every 15 s: "1x40 0x40 1x80" is 41 times 1, 41 times 0, 81 times 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Series = dict[str, str]
"""name or name{labels} -> values"""

COMPLETED = 'voxpool_jobs_ended_total{pair="zh:en",state="completed",reason="none"}'
FAILED = 'voxpool_jobs_ended_total{pair="zh:en",state="failed",reason="engine_error"}'
HEALTHY: Series = {
    "up": "1x160",
    "voxpool_loop_lag_seconds_count": "0+60x160",
    'voxpool_loop_lag_seconds_bucket{le="0.001"}': "0+58x160",
    'voxpool_loop_lag_seconds_bucket{le="0.25"}': "0+60x160",
    'voxpool_loop_lag_seconds_bucket{le="0.5"}': "0+60x160",
    'voxpool_loop_lag_seconds_bucket{le="+Inf"}': "0+60x160",
    'voxpool_build_info{jobs="memory"}': "1x160",
    'voxpool_pool_nodes{pair="zh:en"}': "4x160",
    # The jobs are submitted at two schedulers, and the nodes are at one.
    'voxpool_nodes_wanted{pair="zh:en"}': "2.5x160",
    'voxpool_nodes_wanted{instance="b:5010",pair="zh:en"}': "2x160",
    'voxpool_jobs_waiting{pair="zh:en",priority="3"}': "3 0 0 7 0 1 0 12 5 5 5 5 0x160",
    'voxpool_jobs_waiting{pair="zh:en",priority="5"}': "0 9 0x160",
    'voxpool_oldest_waiting_seconds{priority="3"}': "1 0 0 2 0 1 0 7 0x160",
    'voxpool_oldest_waiting_seconds{priority="4"}': "0 0 0 0 9 0 0 0 9 0 0 0 9 0 0 0 9 0 0 0 9 0x160",
    'voxpool_oldest_waiting_seconds{priority="5"}': "0 9 0x160",
    'voxpool_job_starts_total{priority="3"}': "0+258x160",
    'voxpool_job_starts_total{priority="4"}': "0+2x160",
    'voxpool_job_starts_total{priority="5"}': "0+40x160",
    'voxpool_jobs_submitted_total{pair="zh:en"}': "0+300x160",
    COMPLETED: "0+297x160",
    FAILED: "0+3x160",
    'voxpool_wait_seconds_bucket{le="0.1"}': "0+290x160",
    'voxpool_wait_seconds_bucket{le="2.5"}': "0+297x160",
    'voxpool_wait_seconds_bucket{le="+Inf"}': "0+297x160",
    'voxpool_dispatches_total{result="sent"}': "0+302x160",
    'voxpool_redispatches_total{reason="closed"}': "0+2x160",
    "voxpool_late_results_total": "0+1x160",
    "voxpool_partitions_failing": "0x14 1 0x145",
    "voxpool_scheduler_lapses_total": "16x160",
    "voxpool_jobs_adopted_total": "7x160",
    'voxpool_jobs_rejected_total{reason="jobs_max"}': "0x160",
    'voxpool_jobs_rejected_total{reason="not_audio"}': "0+9x160",
    'voxpool_connections_refused_total{reason="connections_max"}': "0x160",
    'voxpool_connections_refused_total{reason="unauthorized"}': "0+9x160",
    "voxpool_store_up": "1x160",
    'voxpool_script_errors_total{script="select_node"}': "0x66 1x94",
    "voxpool_cleanup_interval_seconds": "60x160",
    "voxpool_cleanup_last_run_timestamp_seconds": "0 0 0 0 60 60 60 60 120+15x160",
    'voxpool_jobs_resident{state="completed"}': "6000x160",
    'voxpool_jobs_resident{state="waiting"}': "900x160",
    "voxpool_jobs_resident_bound": "8000x160",
}


@dataclass(frozen=True)
class Case:
    """Series that differ from the healthy ones. `follows` are alerts that the fault causes as well."""

    alert: str
    series: Series
    follows: list[str] = field(default_factory=list)


CASES = [
    Case("VoxpoolDown", {"up": "1x40 0x40 1x80", 'up{job="another",instance="b:9100"}': "0x160"}),
    Case("VoxpoolRestarts", {"voxpool_loop_lag_seconds_count": "0+60x40 0+60x10 0+60x120"}),
    Case(
        "VoxpoolPoolWithoutNodes",
        {  # submits in the last five minutes; the other pair had none and must not raise an alert
            'voxpool_pool_nodes{pair="zh:en"}': "4x40 0x40 4x80",
            'voxpool_pool_nodes{pair="en:de"}': "0x160",
            'voxpool_jobs_waiting{pair="en:de",priority="3"}': "0x160",
            'voxpool_jobs_submitted_total{pair="en:de"}': "70x160",
        },
    ),
    Case(
        "VoxpoolPoolWithoutNodes",
        {
            'voxpool_pool_nodes{pair="zh:en"}': "4x40 0x40 4x80",
            'voxpool_jobs_waiting{pair="zh:en",priority="3"}': "0x40 3x40 0x80",
            'voxpool_jobs_submitted_total{pair="zh:en"}': "7x160",
        },
    ),
    Case(
        "VoxpoolPoolWithoutNodes",
        {  # the nodes of another scheduler serve its jobs while the two share them, and only then
            'voxpool_build_info{jobs="memory"}': "_x40 1x40 _x80",
            'voxpool_build_info{jobs="redis"}': "1x40 _x40 1x80",
            'voxpool_build_info{instance="b:5010",jobs="memory"}': "_x40 1x40 _x80",
            'voxpool_build_info{instance="b:5010",jobs="redis"}': "1x40 _x40 1x80",
            'voxpool_pool_nodes{pair="zh:en"}': "0x160",
            'voxpool_pool_nodes{instance="b:5010",pair="zh:en"}': "4x160",
        },
    ),
    Case(
        "VoxpoolPoolWithoutNodes",
        {  # the only nodes of two schedulers that share their jobs
            'voxpool_build_info{jobs="memory"}': "_x160",
            'voxpool_build_info{jobs="redis"}': "1x160",
            'voxpool_build_info{instance="b:5010",jobs="redis"}': "1x160",
            'voxpool_pool_nodes{pair="zh:en"}': "0x160",
            'voxpool_pool_nodes{instance="b:5010",pair="zh:en"}': "4x40 0x40 4x80",
        },
    ),
    Case("VoxpoolTooFewNodes", {'voxpool_nodes_wanted{pair="zh:en"}': "2.5x40 3x40 2.5x80"}),
    Case(
        "VoxpoolTooFewNodes",
        {  # a pair without a node is another alert's
            'voxpool_nodes_wanted{pair="zh:en"}': "2.5x40 3x40 2.5x80",
            'voxpool_pool_nodes{pair="en:de"}': "0x160",
            'voxpool_nodes_wanted{pair="en:de"}': "1x160",
        },
    ),
    Case(
        "VoxpoolWaitingGrows",
        {
            'voxpool_jobs_waiting{pair="zh:en",priority="3"}': "0x40 1+50x40 0x80",
            COMPLETED: "0+297x40 12127+247x40 22254+297x80",
        },
    ),
    Case(
        "VoxpoolWaitingGrows",
        {  # a pair of which no job ever ended
            'voxpool_pool_nodes{pair="en:de"}': "1x160",
            'voxpool_jobs_waiting{pair="en:de",priority="3"}': "0x40 1+50x40 0x80",
            'voxpool_jobs_submitted_total{pair="en:de"}': "0x40 0+50x40 2000x80",
        },
    ),
    Case(
        "VoxpoolWaitP99",
        {
            'voxpool_wait_seconds_bucket{le="5.0"}': "0+297x40 12177+285x40 23862+297x80",
            'voxpool_wait_seconds_bucket{le="10.0"}': "0+297x160",
            'voxpool_wait_seconds_bucket{le="2.5"}': "0+297x40 12177+285x40 23862+297x80",
        },
    ),
    Case(
        "VoxpoolBandStarves",
        {  # the one above waits as long, and gets most of the slots
            'voxpool_oldest_waiting_seconds{priority="3"}': "0x40 9x40 0x80",
            'voxpool_oldest_waiting_seconds{priority="5"}': "0x40 9x40 0x80",
            'voxpool_job_starts_total{priority="5"}': "0+40x40 1600+10x40 2000+40x80",
        },
    ),
    Case("VoxpoolRedispatchStorm", {'voxpool_redispatches_total{reason="closed"}': "0+2x40 82+40x40 1722+2x80"}),
    Case("VoxpoolLateResults", {"voxpool_late_results_total": "0+1x40 41+9x40 410+1x80"}),
    Case(
        "VoxpoolJobsFail",
        {
            COMPLETED: "0+297x40 12177+270x40 23247+297x80",
            FAILED: "0+3x40 123+30x40 1353+3x80",
        },
    ),
    Case("VoxpoolSubmitsRefused", {'voxpool_jobs_rejected_total{reason="jobs_max"}': "0x40 0+5x40 205x80"}),
    Case(
        "VoxpoolSubmitsRefused",
        {'voxpool_connections_refused_total{reason="connections_max"}': "0x40 0+5x40 205x80"},
    ),
    Case("VoxpoolStoreDown", {"voxpool_store_up": "1x40 0x40 1x80"}),
    Case("VoxpoolPartitionsFailing", {"voxpool_partitions_failing": "0x40 1x40 0x80"}),
    Case("VoxpoolSchedulerLapsed", {"voxpool_scheduler_lapses_total": "0x40 1x60 1x60"}),
    Case("VoxpoolJobsAdopted", {"voxpool_jobs_adopted_total": "0x40 1x60 1x60"}),
    Case("VoxpoolScriptErrors", {'voxpool_script_errors_total{script="select_node"}': "0x40 0+3x40 123x80"}),
    Case("VoxpoolCleanupNotRunning", {"voxpool_cleanup_interval_seconds": "60x40 0x40 60x80"}),
    Case(
        "VoxpoolCleanupNotRunning",
        {"voxpool_cleanup_last_run_timestamp_seconds": "0+15x40 600x40 1230+15x80"},
    ),
    Case("VoxpoolResidentJobsAboveBound", {'voxpool_jobs_resident{state="completed"}': "6000x40 7200x40 6000x80"}),
    Case("VoxpoolLoopLag", {'voxpool_loop_lag_seconds_bucket{le="0.25"}': "0+60x40 2460+58x40 4838+60x80"}),
]

# Changes of rules that the cases of their alert must notice: (alert, original text, planted text).
PLANTED = [
    ("VoxpoolDown", "== 0", "== 2"),
    ("VoxpoolDown", '{job=~"voxpool.*"}', ""),
    ("VoxpoolRestarts", ">= 2", ">= 3"),
    ("VoxpoolPoolWithoutNodes", "voxpool_jobs_waiting > 0 or ", ""),
    ("VoxpoolPoolWithoutNodes", " or increase(voxpool_jobs_submitted_total[<5m>]) > 0", ""),
    ("VoxpoolPoolWithoutNodes", "> 0 or", ">= 0 or"),
    ("VoxpoolPoolWithoutNodes", "\nunless on (job, pair)", "\nunless on (job, instance, pair)"),
    ("VoxpoolPoolWithoutNodes", '{jobs="redis"}', ""),
    ("VoxpoolPoolWithoutNodes", "(voxpool_pool_nodes > 0 and", "(voxpool_pool_nodes >= 0 and"),
    ("VoxpoolTooFewNodes", "1.2 *", "1.1 *"),
    ("VoxpoolTooFewNodes", "1.2 *", "1.5 *"),
    ("VoxpoolTooFewNodes", "(sum by (job, pair) (voxpool_pool_nodes) > 0)", "sum by (job, pair) (voxpool_pool_nodes)"),
    ("VoxpoolTooFewNodes", "sum by (job, pair) (voxpool_nodes_wanted)", "max by (job, pair) (voxpool_nodes_wanted)"),
    ("VoxpoolWaitingGrows", "or 0 * sum by (job, instance, pair)", "or 2 * sum by (job, instance, pair)"),
    ("VoxpoolWaitingGrows", "1.05 * (", "2 * ("),
    ("VoxpoolWaitP99", "0.99", "0.9"),
    ("VoxpoolWaitP99", "<5s in s>", "<15s in s>"),
    ("VoxpoolBandStarves", "<5s in s>", "<15s in s>"),
    ("VoxpoolBandStarves", "10 *", "100 *"),
    ("VoxpoolBandStarves", "on (job, instance, priority)", "on (job, instance)"),
    ("VoxpoolBandStarves", "min_over_time", "max_over_time"),
    ("VoxpoolRedispatchStorm", "0.1 *", "0.5 *"),
    ("VoxpoolLateResults", "0.01 *", "0.05 *"),
    ("VoxpoolJobsFail", "0.05 *", "0.5 *"),
    ("VoxpoolSubmitsRefused", '{reason=~"jobs_max', '{reason=~"not_audio|jobs_max'),
    ("VoxpoolSubmitsRefused", '{reason=~"connections_max', '{reason=~"unauthorized|connections_max'),
    ("VoxpoolSubmitsRefused", '{reason=~"connections_max|', '{reason=~"'),
    ("VoxpoolStoreDown", "== 0", "== 1"),
    ("VoxpoolPartitionsFailing", "> 0", "> 1"),
    ("VoxpoolPartitionsFailing", "voxpool_partitions_failing", "max_over_time(voxpool_partitions_failing[<5m>])"),
    ("VoxpoolSchedulerLapsed", "> 0", "> 1.5"),
    ("VoxpoolSchedulerLapsed", "<10m>", "<30m>"),
    (
        "VoxpoolSchedulerLapsed",
        "sum by (job, instance) (increase(voxpool_scheduler_lapses_total[<10m>]))",
        "voxpool_scheduler_lapses_total",
    ),
    ("VoxpoolJobsAdopted", "> 0", "> 1.5"),
    ("VoxpoolJobsAdopted", "<10m>", "<30m>"),
    (
        "VoxpoolJobsAdopted",
        "sum by (job, instance) (increase(voxpool_jobs_adopted_total[<10m>]))",
        "voxpool_jobs_adopted_total",
    ),
    ("VoxpoolScriptErrors", "> 3", "> 0"),
    ("VoxpoolScriptErrors", "> 3", "> 100"),
    ("VoxpoolCleanupNotRunning", "voxpool_cleanup_interval_seconds == 0\nor ", ""),
    ("VoxpoolCleanupNotRunning", "+ <1m in s>", "+ <1h in s>"),
    ("VoxpoolResidentJobsAboveBound", "sum by (job, instance) (voxpool_jobs_resident)", "voxpool_jobs_resident"),
    ("VoxpoolLoopLag", "> 0.25", "> 25"),
]
