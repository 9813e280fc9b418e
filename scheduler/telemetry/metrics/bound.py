"""How many jobs the table should hold, by Little's law, and how many are too many: one place for metrics and pictures.

Pure. Source: J. D. C. Little, "A Proof for the Queuing Formula: L = λW" (1961): the mean number is the rate times the
mean stay. An unfinished job stays for its wait and its service, a finished one for its retention and, on average, half
the time between two sweeps.
"""

from __future__ import annotations

import math

SPREAD = 6.0
"""Standard deviations of a Poisson number: a higher one comes by chance once in 500 million looks."""
LATENESS = 0.05
"""A sweep comes late by its own length and what the loop does between its slices; this share is for that."""


def resident_mean(rate_per_s: float, service_s: float, retention_s: float, interval_s: float) -> float:
    """Return the mean number of jobs in the table, unfinished ones included.

    `service_s` is the mean time from submit to end (0 leaves the unfinished jobs out), `interval_s` the time between
    two sweeps. 0, a clean-up that is off, counts as one that runs all the time: a leak must not predict itself.
    """
    return rate_per_s * (service_s + retention_s + interval_s / 2)


def resident_bound(rate_per_s: float, service_s: float, retention_s: float, interval_s: float) -> float:
    """Return the most jobs that a table with a working clean-up holds, just before a sweep; more are a leak.

    The arguments are those of resident_mean; `rate_per_s` is the mean over the last retention and interval, so that
    nothing is assumed about earlier traffic.
    """
    most = rate_per_s * (service_s + retention_s + interval_s)
    return most * (1 + LATENESS) + SPREAD * math.sqrt(most)
