"""The reasons of failed requests; they have no ids, so that they can be counted."""

from __future__ import annotations

from voxpool.loadtest.users._wire import NotOpened
from voxpool.scheduler.errors import BadInput

TOKEN_REFUSED = "token_refused"
LOST = "connection_lost"
NOT_CONNECTED = "not_connected"
"""A job was due while its user had no connection, whose loss is reported separately."""
_NO_ENTRY = {"unauthorized", "forbidden", TOKEN_REFUSED}
_NO_ENTRY_STATUS = {401, 403}


def refused_as(reason: str) -> str:
    """Return the reason of a refusal; `reason` is the scheduler's word."""
    return TOKEN_REFUSED if reason in _NO_ENTRY else f"refused:{reason}"


def why_lost(error: Exception) -> str:
    """Return the reason of a closed WebSocket, or of one that was not opened."""
    if isinstance(error, BadInput):
        return refused_as(error.reason)
    if isinstance(error, NotOpened):
        if error.status in _NO_ENTRY_STATUS:
            return TOKEN_REFUSED
        return f"status:{error.status}" if error.status else "unreachable"
    return "timeout" if isinstance(error, TimeoutError) else LOST
