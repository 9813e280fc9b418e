"""The measured costs of jobs in Redis, as `python -m bench.shared_jobs FILE` writes them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.sentences import wrong
from voxpool.scheduler.small_file import read_toml

BATCHES = (1, 16, 256)
"""The jobs of a flush that are measured."""


class SharedCosts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The costs of one machine; times are processor time in microseconds a job."""

    machine: str
    """What was measured: processor, versions, day."""
    own_us: dict[str, float]
    """Of the server, by jobs of a flush: the node is at the scheduler of the client (submit, finish)."""
    elsewhere_us: dict[str, float]
    """The same with the node at another scheduler (submit, take, finish, mail)."""
    audio_own_us: float
    """More of the server for 10 kB of audio, at 16 jobs of a flush."""
    audio_elsewhere_us: float
    """The same with the node at another scheduler."""
    record_bytes: float
    """Of the server's memory, for a finished job with 40 characters of output."""
    memory_us: float
    """Of a scheduler with jobs = memory, 10 kB of audio, 64 jobs in flight."""
    scheduler_us: float
    """Of a scheduler with jobs = redis, the node at it."""
    both_us: float
    """Of two schedulers together, with the node at the other one."""
    fair_us: float = 0.0
    """Of the server at 16 jobs of a flush, with the order fair and the node elsewhere; 0 = not measured."""
    p50_ms: dict[str, float] = {}
    """The median time of a job, one in flight: jobs in memory (and the embedded store), own, elsewhere."""

    def server_us(self, elsewhere: float, audio_bytes: float, batch: float) -> float:
        """Return the processor time of the server for a job; `elsewhere` is the part of the jobs that go there.

        A flush of `batch` jobs costs a constant, and a part for each job; both follow from the outer batches.
        """
        audio = audio_bytes / 10_000
        own = _at(self.own_us, batch) + audio * self.audio_own_us
        other = _at(self.elsewhere_us, batch) + audio * self.audio_elsewhere_us
        return own + elsewhere * (other - own)

    @property
    def call_us(self) -> float:
        """The processor time of the server for one call with nothing in it, such as a beat: two are a job's own way."""
        return (self.own_us["1"] - self.own_us["256"]) / 2

    def schedulers_us(self, elsewhere: float) -> float:
        """Return the processor time of all schedulers for a job."""
        return self.scheduler_us + elsewhere * (self.both_us - self.scheduler_us)


def _at(by_batch: dict[str, float], batch: float) -> float:
    least, most = by_batch["1"], by_batch["256"]
    return most + (least - most) / min(256.0, max(1.0, batch))


def read_costs(path: Path) -> SharedCosts:
    """Return the costs in a file. Raises ConfigError."""
    try:
        costs = msgspec.convert(read_toml(path), SharedCosts, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"{path}: {wrong(error).sentence}: `python -m bench.shared_jobs` writes such a file"
        ) from None
    if any(str(batch) not in table for batch in BATCHES for table in (costs.own_us, costs.elsewhere_us)):
        raise ConfigError(f"{path}: own_us and elsewhere_us need the batches {', '.join(map(str, BATCHES))}")
    return costs
