"""Generates requests: SimPy processes that draw arrivals, work and sizes, each from a separate random generator."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import repeat
from typing import Protocol

import numpy as np
import simpy

from voxpool.scheduler.core.jobs.job import Share
from voxpool.sim.chance.distributions import BLOCK, Draw, draws
from voxpool.sim.chance.seeds import generator
from voxpool.sim.scenario.scenario import Traffic, distribution
from voxpool.sim.world.clients import Request


class TakesRequests(Protocol):
    """The clients that a stream sends its requests to."""

    def request(self, request: Request) -> None:
        """Take a new request, now."""
        ...


class Stream:
    """One stream of requests of a run. The n-th request depends on the seed and `name` only."""

    def __init__(self, traffic: Traffic, name: str, seed: int, duration_s: float) -> None:
        self.traffic = traffic
        self._name = name
        self._gap_s = gaps(traffic, generator(seed, f"{name}/arrivals"))
        self._work_s = draws(distribution(traffic.work_s), generator(seed, f"{name}/work"))
        self._audio_bytes = draws(distribution(traffic.audio_bytes), generator(seed, f"{name}/audio"))
        self._ends_s = duration_s if traffic.end_s is None else min(traffic.end_s, duration_s)
        self._share = Share(traffic.priority, traffic.key, traffic.weight)
        self._number = 0

    def run(self, env: simpy.Environment, clients: TakesRequests) -> Generator[simpy.Event, None, None]:
        """Send the requests: a SimPy process."""
        timeout, together = env.timeout, self._together
        for at in self._moments():
            yield timeout(at - env._now)
            for _ in range(together):
                clients.request(self.next_request())

    def schedule(self) -> Iterator[tuple[float, Request]]:
        """Yield (seconds from the start, request) as `run` does, for sending them to a real scheduler."""
        for at in self._moments():
            for _ in range(self._together):
                yield at, self.next_request()

    @property
    def _together(self) -> int:
        return self.traffic.burst if self.traffic.arrivals == "bursts" else 1

    def _moments(self) -> Iterator[float]:
        """Yield the times of the requests, in seconds from the start."""
        if not self.traffic.rate_per_s:
            return
        at = self.traffic.start_s
        while (at := at + self._gap_s()) < self._ends_s:
            yield at

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
            self._share,
            traffic.partials,
        )


def gaps(traffic: Traffic, rng: np.random.Generator) -> Draw:
    """Return the draws of the time between two arrivals (or two bursts), in seconds."""
    mean_s = 1 / traffic.rate_per_s if traffic.rate_per_s else 0.0
    if traffic.arrivals == "even":
        return repeat(mean_s).__next__
    if traffic.arrivals == "bursts":
        mean_s *= traffic.burst
    return _exponential(mean_s, rng).__next__


def _exponential(mean_s: float, rng: np.random.Generator) -> Iterator[float]:
    while True:
        yield from rng.exponential(mean_s, BLOCK).tolist()
