"""Swarm runs: every option of a run is drawn from its seed, many seeds are run, and their coverage is counted."""
