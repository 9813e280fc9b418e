"""How many files this process may have open; each connection is one."""

from __future__ import annotations

import resource

from msgspec import structs

from voxpool.scheduler.config import Settings
from voxpool.scheduler.telemetry.logs.events import Event
from voxpool.scheduler.telemetry.logs.log import Log

BESIDE_CONNECTIONS = 80
"""Files that a scheduler has open beside its known connections: store, logs, listener, pipes (about 20), the strangers
for whom there is always room (connections.py: 16), and room for connections that are about to be closed.
"""


def connections_within(settings: Settings, log: Log) -> Settings:
    """Let this process have the files that connections_max needs; return settings whose bound the machine allows.

    Past that bound a connection is answered 503; without it nothing could be opened any more, be it for the store.
    """
    needed = wanted(settings.connections_max)
    allowed = allow(needed)
    if allowed >= needed:
        return settings
    connections_max = max(1, allowed - BESIDE_CONNECTIONS)
    log(Event.FEW_OPEN_FILES, allowed=allowed, wanted=needed, connections_max=connections_max)
    return structs.replace(settings, connections_max=connections_max)


def wanted(connections_max: int) -> int:
    """Return the number of open files that a scheduler with this number of connections needs."""
    return connections_max + BESIDE_CONNECTIONS


def allow(files: int) -> int:
    """Let this process have `files` open if the machine lets us; return how many it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = files if hard == resource.RLIM_INFINITY else min(files, hard)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return files if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most
