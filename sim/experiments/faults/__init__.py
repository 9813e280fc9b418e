"""The experiment `faults`: recovery after faults."""
