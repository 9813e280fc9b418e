"""How many files this process may have open; each connection is one."""

from __future__ import annotations

import resource

BESIDE_CONNECTIONS = 64
"""Files that a scheduler has open beside its connections: store, logs, listener, pipes (about 20) and room for more."""


def wanted(connections_max: int) -> int:
    """Return how many open files a scheduler with so many connections needs."""
    return connections_max + BESIDE_CONNECTIONS


def allow(files: int) -> int:
    """Let this process have `files` open if the machine lets us; return how many it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = files if hard == resource.RLIM_INFINITY else min(files, hard)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return files if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most
