"""The records of a verdict on a process, which reports, pages and comparisons share."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["", "kept work", "counts", "objects", "native", "fragmentation"]
"""What grows: "" = nothing; finished work that outlives its retention; entries of a table or objects of a type;
allocated bytes; memory that bypasses both allocators; only memory kept by the allocators (allocated bytes are flat)."""


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """One quantity of the process and how it grows with the work."""

    name: str
    """"allocated bytes", "RSS", "outside both allocators", or the name of a count."""
    unit: str
    """"B" or ""."""
    verdict: str
    """"leak", "no leak" or "unclear"."""
    reason: str
    at: list[float]
    """Finished work at the middle of each segment of the series."""
    lows: list[float]
    """The lowest reading of each segment, oldest first; empty where there were too few readings."""
    a_unit: float | None
    """Growth per unit of work, with its interval."""
    low: float | None
    high: float | None
    limit: float
    """Growth per unit of work up to which it counts as none."""
    readings: int

    @property
    def text(self) -> str:
        """The growth as short text, without its name."""
        unit = " B" if self.unit else ""
        if self.a_unit is None or self.low is None or self.high is None:
            return "unknown"
        digits = 0 if self.unit else 3
        low, high = f"{self.low:,.{digits}f}", f"{self.high:,.{digits}f}"
        return f"{self.a_unit:,.{digits}f}{unit} ({low} to {high})"

    @property
    def short(self) -> str:
        """The growth without its interval: "139 B", "1.00", "0.012"."""
        if self.a_unit is None:
            return "an unknown number"
        if self.unit:
            return f"{self.a_unit:,.0f} {self.unit}"
        return f"{self.a_unit:,.2f}" if self.a_unit >= 0.1 else f"{self.a_unit:.2g}"


class SourceLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the program whose allocations are not freed."""

    where: str
    """Such as "app/cache.py:64"."""
    a_unit: float
    """Bytes allocated there and not freed, per unit of work."""
    blocks_a_unit: float
    """Allocations that are not freed, per unit of work."""

    @property
    def text(self) -> str:
        """The growth as short text, without the line."""
        return f"{self.a_unit:,.0f} B" if self.a_unit >= 10 else f"{self.a_unit:,.2g} B"


class MemoryFinding(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on a process."""

    verdict: str
    """"leak", "no leak" or "unclear" (which never counts as healthy)."""
    reason: str
    """One sentence."""
    kind: Kind = ""
    unit: str = "request"
    """The word for one unit of work."""
    work: int = 0
    """Units of work finished between the first and the last reading that was judged."""
    seconds: float = 0.0
    """Time between these two."""
    readings: int = 0
    """Readings that were judged."""
    allocated: Growth | None = None
    rss: Growth | None = None
    growing: list[Growth] = []
    """Leaking counts, the fastest first."""
    fastest: list[Growth] = []
    """The counts with the largest growth, leaks or not."""
    lines: list[SourceLine] = []
    """For a leak without a leaking count: the lines whose allocations are not freed, the fastest first."""
    power_bytes: float | None = None
    """The smallest growth of allocated bytes per unit of work that this run would have detected with 95 % power, by its
    noise; of the RSS when allocated bytes can't be read. None = not computed, or no tried growth was detected."""
    not_exercised: list[str] = []
    """Actions that this load did not perform, so that their leaks could not show: reconnects, errors, cancels."""
    notes: list[str] = []
