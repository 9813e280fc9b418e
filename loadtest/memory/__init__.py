"""Reads, judges and draws the memory of the scheduler during a run."""
