"""Where requests come from: SimPy processes that draw arrivals, work and sizes, each from its own source of chance."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import repeat

import numpy as np
import simpy

from sim.clients import Clients, Request
from sim.distributions import BLOCK, Draw, draws
from sim.scenario import Traffic, distribution
from sim.seeds import generator


class Stream:
    """One stream of requests of a run. What the n-th request is depends on the seed and `name` only."""

    def __init__(self, traffic: Traffic, name: str, seed: int, duration_s: float) -> None:
        self.traffic = traffic
        self._name = name
        self._gap_s = gaps(traffic, generator(seed, f"{name}/arrivals"))
        self._work_s = draws(distribution(traffic.work_s), generator(seed, f"{name}/work"))
        self._audio_bytes = draws(distribution(traffic.audio_bytes), generator(seed, f"{name}/audio"))
        self._ends_s = duration_s if traffic.end_s is None else min(traffic.end_s, duration_s)
        self._number = 0

    def run(self, env: simpy.Environment, clients: Clients) -> Generator[simpy.Event, None, None]:
        """Make the requests: a SimPy process."""
        traffic, timeout = self.traffic, env.timeout
        if not traffic.rate_per_s:
            return
        together = traffic.burst if traffic.arrivals == "bursts" else 1
        at = traffic.start_s
        while True:
            at += self._gap_s()
            if at >= self._ends_s:
                return
            yield timeout(at - env._now)
            for _ in range(together):
                clients.request(self.next_request())

    def next_request(self) -> Request:
        """Draw the next request."""
        traffic = self.traffic
        number = self._number
        self._number += 1
        return Request(
            f"{self._name}-{number}",
            traffic.pair,
            self._work_s(),
            int(self._audio_bytes()),
            f"{self._name}-s{number % traffic.sessions}" if traffic.sessions else "",
            traffic.affinity,
            None if traffic.timeout_s is None else max(1, round(traffic.timeout_s * 1000)),
            traffic.retries,
        )


def gaps(traffic: Traffic, rng: np.random.Generator) -> Draw:
    """Return the draws of seconds between two arrivals (or two bursts)."""
    mean_s = 1 / traffic.rate_per_s if traffic.rate_per_s else 0.0
    if traffic.arrivals == "even":
        return repeat(mean_s).__next__
    if traffic.arrivals == "bursts":
        mean_s *= traffic.burst
    return _exponential(mean_s, rng).__next__


def _exponential(mean_s: float, rng: np.random.Generator) -> Iterator[float]:
    while True:
        yield from rng.exponential(mean_s, BLOCK).tolist()
