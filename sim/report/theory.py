"""Queueing theory of a pool: the FIFO G/G/c recursion, Erlang C, and confidence intervals of a simulated mean.

Sources: J. Kiefer and J. Wolfowitz, "On the theory of queues with many servers" (1955), for the recursion;
A. K. Erlang (1917) for M/M/c; batch means after L. Schmeiser, "Batch size effects" (1982).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

BATCHES = 30
"""Batches of a batch-means interval: more gain little (Schmeiser 1982: 10 to 30)."""


def ggc_starts(arrivals_s: Iterable[float], works_s: Iterable[float], servers: int) -> list[float]:
    """Return when each job starts in a FIFO queue with `servers` equal servers: max(arrival, earliest free server)."""
    free = [0.0] * servers
    starts = []
    for arrival, work in zip(arrivals_s, works_s, strict=True):
        start = max(arrival, free[0])
        heapq.heapreplace(free, start + work)
        starts.append(start)
    return starts


def erlang_c(servers: int, load: float) -> float:
    """Return the probability that a job of M/M/c waits; `load` is the offered work per server, below 1."""
    offered = servers * load
    blocked = 1.0  # Erlang B by its recursion, which does not overflow
    for busy in range(1, servers + 1):
        blocked = offered * blocked / (busy + offered * blocked)
    return blocked / (1 - load * (1 - blocked))


def erlang_c_wait(servers: int, load: float, mean_work_s: float) -> float:
    """Return the mean wait of M/M/c in seconds, those that don't wait included."""
    return erlang_c(servers, load) * mean_work_s / (servers * (1 - load))


def bounded_queue(servers: int, load: float, mean_work_s: float, waiting_max: int) -> tuple[float, float]:
    """Return the share refused and the mean wait of the others in M/M/c/K with at most `waiting_max` waiting jobs.

    `load` is the offered work per server, and may be above 1. The probability of n jobs is proportional to
    (c load)^n / n! up to c jobs, and to one factor `load` more for each waiting job (D. Gross, C. M. Harris,
    "Fundamentals of Queueing Theory", 1998, 2.5).
    """
    logs = [n * math.log(servers * load) - math.lgamma(n + 1) for n in range(servers + 1)]
    logs += [logs[servers] + n * math.log(load) for n in range(1, waiting_max + 1)]
    greatest = max(logs)
    chances = [math.exp(log - greatest) for log in logs]
    total = math.fsum(chances)
    refused = chances[-1] / total
    waiting = math.fsum(n * chance for n, chance in enumerate(chances[servers:])) / total
    arrivals_per_s = (1 - refused) * servers * load / mean_work_s
    return refused, waiting / arrivals_per_s


def mm1_wait(load: float, mean_work_s: float) -> float:
    """Return the mean wait of M/M/1 in seconds: the model of each node when every job goes to a random node."""
    return load * mean_work_s / (1 - load)


def mm1_wait_percentile(load: float, mean_work_s: float, part: float) -> float:
    """Return the quantile `part` of the wait of M/M/1: P(wait > t) = load e^(-(1 - load) t / work)."""
    return max(0.0, math.log(load / (1 - part)) * mean_work_s / (1 - load))


def erlang_c_wait_percentile(servers: int, load: float, mean_work_s: float, part: float) -> float:
    """Return the quantile `part` of the wait of M/M/c; the wait of waiting jobs is exponential."""
    waits = erlang_c(servers, load)
    if waits <= 1 - part:
        return 0.0
    return math.log(waits / (1 - part)) * mean_work_s / (servers * (1 - load))


def mm1_relaxation_s(load: float, mean_work_s: float) -> float:
    """Return the relaxation time of M/M/1, in which the effect of its start falls by e: work / (1 - sqrt(load))^2.

    It is an upper bound for M/M/c at the same load. Source: J. W. Cohen, "The Single Server Queue" (1969).
    """
    return mean_work_s / (1 - math.sqrt(load)) ** 2


def spread_factor(work_cv: float) -> float:
    """Return the approximate factor on waits of M/M/c when work has another coefficient of variation.

    Source: A. O. Allen, "Probability, Statistics and Queueing Theory" (1990), after Cunneen; exact for one server.
    """
    return (1 + work_cv**2) / 2


class Interval(NamedTuple):
    """A mean and the half width of its interval."""

    mean: float
    half: float

    def holds(self, value: float) -> bool:
        """True when `value` lies in the interval."""
        return abs(value - self.mean) <= self.half


def batch_means(values: Sequence[float], confidence: float = 0.99, batches: int = BATCHES) -> Interval:
    """Return the mean of a correlated series, with its interval by the means of long batches."""
    size = len(values) // batches
    if size < 1:
        raise ValueError(f"{len(values)} values are too few for {batches} batches")
    means = [math.fsum(values[i * size : (i + 1) * size]) / size for i in range(batches)]
    return student_interval(means, confidence)


def student_interval(means: Sequence[float], confidence: float) -> Interval:
    """Return the mean of independent values with its interval by Student's t."""
    from scipy.special import stdtrit  # scipy.stats has it, too, and takes a second to import

    count = len(means)
    mean = math.fsum(means) / count
    variance = math.fsum((value - mean) ** 2 for value in means) / (count - 1)
    t = float(stdtrit(count - 1, (1 + confidence) / 2))
    return Interval(mean, t * math.sqrt(variance / count))
