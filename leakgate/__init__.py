"""leakgate: does a process leak? A judge for series of memory readings, and readers that take them from any server.

It knows nothing of what the server does: work is a counter that rises, and each reading has sizes in bytes and counts.
"""
