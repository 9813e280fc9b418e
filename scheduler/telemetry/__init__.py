"""Telemetry: logs, metrics, traces and the dashboard. They receive what happens as Observers."""
