"""Tests of the search over orders of steps, mostly on toy executions with known answers."""
