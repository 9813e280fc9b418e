"""The experiment `theory`: compares the pool with queueing theory."""
