"""Tests of the alerts, the dashboard and the files of ops/: with promtool, amtool, Prometheus and Alertmanager."""
