"""Swarm runs: every option of a run is drawn from its seed, many seeds are played, and what they reached is counted."""
