"""What all users of a process share: whether new jobs may be sent, and how many are under way."""

from __future__ import annotations

import time


class State:
    """The state of one process that generates load: plain counters, because all its users run in one thread."""

    def __init__(self) -> None:
        self.open = True
        """False at the end of a run: client users send nothing new, and wait for what they have sent."""
        self.closed_s: float | None = None
        """When that was, on the monotonic clock."""
        self.outstanding = 0
        """Jobs of all client users that were sent and have no end yet."""

    def start(self) -> None:
        """A run starts."""
        self.open = True
        self.closed_s = None
        self.outstanding = 0

    def close(self) -> None:
        """No new jobs from now on."""
        self.open = False
        self.closed_s = time.monotonic()


STATE = State()
"""That of this process."""
