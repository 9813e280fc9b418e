"""How slowly something may come in before it is taken for an attempt to keep a connection busy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """Nothing may stay away for `stall_s`; after as long the whole must have come at `bytes_per_s_min` or quicker.

    The rule of Apache's RequestReadTimeout: a body as large as is allowed has the time that it needs on a slow line,
    one that trickles has not.
    """

    stall_s: float
    bytes_per_s_min: int

    def due_s(self, began_s: float, last_s: float, received: int) -> float:
        """Return until when the next part must have come, `received` bytes since `began_s`, the last at `last_s`."""
        return min(last_s + self.stall_s, began_s + self.stall_s + received / self.bytes_per_s_min)
