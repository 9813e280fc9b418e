"""Voxpool beside the queues that a user would pick instead, in one interleaved run: `python -m bench.peers`."""
