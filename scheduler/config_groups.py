"""The settings in groups: for the help of commands, and for the file that --print-config writes."""

from __future__ import annotations

GROUPS: dict[str, tuple[str, ...]] = {
    "Where it listens": ("host", "port", "hosts", "origins", "tls_cert", "tls_key"),
    "Who gets in": ("access_file", "rate_per_s", "rate_burst", "retry_after_s"),
    "Several schedulers": ("jobs", "partitions", "acks", "scheduler_lease_s"),
    "Store": ("store", "store_refuse_s", "store_patience_s", "store_sweep_s", "removals_max", "select_batch_max"),
    "Jobs": (
        *(
            "jobs_max",
            "waiting_max",
            "order",
            "waiting_timeout_s",
            "late_factor",
            "rate_window_s",
            "no_node_grace_s",
            "wait_s_max",
            "result_waiters_max",
        ),
        *("audio_bytes_max", "audio_total_bytes_max", "output_bytes_max"),
    ),
    "Attempts": ("dispatch_timeout_s", "attempts_max", "backoff_s", "backoff_max_s", "choices"),
    "Finished jobs": ("retention_s", "finished_max", "cleanup_interval_s", "sweep_slice", "timeouts_slice"),
    "Nodes": (
        *("nodes_max", "heartbeat_s", "lease_s", "probe_s"),
        *("rest_after_failures", "rest_s", "busy_rest_s"),
    ),
    "Sessions": (
        *("sessions_max", "session_grace_s", "unacknowledged_max"),
        *("in_order_grace_s", "in_order_held_max"),
    ),
    "Connections": (
        *("connections_max", "head_bytes_max", "headers_max", "head_s", "greeting_s"),
        *(
            "body_stall_s",
            "body_bytes_per_s_min",
            "small_parts_per_s_max",
            "incoming_bytes_max",
            "send_buffer_bytes_max",
            "send_stall_s",
        ),
    ),
    "Logs, traces and the dashboard": (
        *("log_sample", "log_buffer_bytes_max", "why_every", "why_jobs_max", "viewers_max"),
        *("traces_endpoint", "traces_sample", "traces_queue_max", "traces_timeout_s"),
    ),
    "The end": ("drain_s", "stop_s"),
}
OTHER = "Other settings"
"""The group of a setting that no group names."""
_GROUP_OF = {name: group for group, names in GROUPS.items() for name in names}


def group_of(name: str) -> str:
    """Return the group of a setting."""
    return _GROUP_OF.get(name, OTHER)
