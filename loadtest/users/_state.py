"""State shared by all users of a process: whether new jobs may be sent, and the number in flight."""

from __future__ import annotations

import time


class State:
    """The state of one process that generates load: plain counters, because all its users run in one thread."""

    def __init__(self) -> None:
        self.open = True
        """False at the end of a run: client users send no new jobs, and wait for results."""
        self.closed_s: float | None = None
        """Time of `close`, on the monotonic clock."""
        self.outstanding = 0
        """Number of sent jobs of all client users that have not ended."""

    def start(self) -> None:
        """Reset the state for a new run."""
        self.open = True
        self.closed_s = None
        self.outstanding = 0

    def close(self) -> None:
        """Send no new jobs from now on."""
        self.open = False
        self.closed_s = time.monotonic()


STATE = State()
"""The state of this process."""
