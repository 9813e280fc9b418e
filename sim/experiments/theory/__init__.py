"""Whether the pool does what queueing theory says."""
