"""Watches a running process, and decides when the watch ends."""
