"""The alerts, the dashboard and the files of ops/: against promtool, amtool, a real Prometheus and Alertmanager."""
