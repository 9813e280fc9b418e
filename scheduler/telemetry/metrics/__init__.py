"""Metrics: counters, histograms and gauges, and the page that Prometheus reads."""
