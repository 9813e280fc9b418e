"""How many files this process may have open; each connection is one."""

from __future__ import annotations

import resource

from msgspec import structs

from voxpool.scheduler.config import Settings
from voxpool.scheduler.telemetry.logs.events import Event
from voxpool.scheduler.telemetry.logs.log import Log

BESIDE_CONNECTIONS = 80
"""Files that a scheduler has open beside its known connections: store, logs, listener, pipes (about 20), the
connections without a greeting that always have room (connections.py: 16), and room for connections that are about to be
closed.
"""


def connections_within(settings: Settings, log: Log) -> Settings:
    """Raise the limit of open files to what connections_max needs; return settings with a bound that the machine
    allows.

    Past that bound a connection is answered 503; without it no file could be opened any more, not even for the store.
    """
    needed = wanted(settings.connections_max)
    allowed = allow(needed)
    if allowed >= needed:
        return settings
    connections_max = max(1, allowed - BESIDE_CONNECTIONS)
    log(Event.FEW_OPEN_FILES, allowed=allowed, wanted=needed, connections_max=connections_max)
    return structs.replace(settings, connections_max=connections_max)


def wanted(connections_max: int) -> int:
    """Return how many open files a scheduler with `connections` connections needs."""
    return connections_max + BESIDE_CONNECTIONS


def allow(files: int) -> int:
    """Raise the limit of open files to `files` if the machine allows it; return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = files if hard == resource.RLIM_INFINITY else min(files, hard)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return files if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most
