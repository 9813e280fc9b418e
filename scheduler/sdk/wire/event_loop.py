"""The event loop of a client or worker that has none yet: uvloop's where it is installed, else asyncio's."""

from __future__ import annotations

import asyncio


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a new loop; uvloop needs less CPU time a frame."""
    try:
        import uvloop
    except ImportError:  # a base install does without
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
