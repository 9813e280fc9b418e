"""Measures whether the pool does what queueing theory says."""
