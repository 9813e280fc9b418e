"""Durations of a script's calls between two readings of a scheduler's /metrics, from `script_seconds`."""

from __future__ import annotations

import math
import re

import msgspec

_SAMPLE = re.compile(r"^voxpool_script_seconds_(bucket|count|sum)\{([^}]*)\} (\S+)$", re.MULTILINE)
_BOUND = re.compile(r'le="([^"]+)"')


class ScriptSeconds(msgspec.Struct, frozen=True):
    """Flushes with a call of the script; their time includes waiting for the server and the other calls."""

    count: float
    seconds: float
    below: dict[float, float]
    """Bound of a bucket, in s -> number of flushes within it."""

    @classmethod
    def of(cls, metrics: str, script: str) -> ScriptSeconds:
        """Return the values of `script` in the text of /metrics; zeros when it was never called."""
        count = seconds = 0.0
        below: dict[float, float] = {}
        for kind, labels, value in _SAMPLE.findall(metrics):
            if f'script="{script}"' not in labels:
                continue
            if kind == "count":
                count = float(value)
            elif kind == "sum":
                seconds = float(value)
            elif bound := _BOUND.search(labels):
                below[float(bound[1])] = float(value)
        return cls(count, seconds, below)

    def since(self, before: ScriptSeconds) -> ScriptSeconds:
        """Return the difference to `before`."""
        below = {bound: flushes - before.below.get(bound, 0.0) for bound, flushes in self.below.items()}
        return ScriptSeconds(self.count - before.count, self.seconds - before.seconds, below)

    @property
    def mean_s(self) -> float | None:
        """Mean duration; None without a flush."""
        return self.seconds / self.count if self.count > 0 else None

    @property
    def median_s(self) -> float | None:
        """Median, linear within its bucket; None without a flush, or when half of them exceed the last bound."""
        half, low_s, low = self.count / 2, 0.0, 0.0
        if self.count <= 0:
            return None
        for bound_s, flushes in sorted(self.below.items()):
            if flushes >= half:
                if math.isinf(bound_s):
                    return None
                return low_s + (bound_s - low_s) * (half - low) / (flushes - low)
            low_s, low = bound_s, flushes
        return None
