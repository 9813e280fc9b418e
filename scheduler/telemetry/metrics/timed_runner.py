"""A ScriptRunner around another one that times the flushes, without any change of the core."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram

from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.core.seams import ScriptRunner
from voxpool.scheduler.errors import ScriptFailed, StoreUnavailable
from voxpool.scheduler.stores.flush import COMMANDS
from voxpool.scheduler.stores.meanings import MEANINGS
from voxpool.scheduler.stores.script_sources import JOBS, load_sources
from voxpool.scheduler.telemetry.around_runner import AroundRunner
from voxpool.scheduler.telemetry.metrics.observer import NAMESPACE

SCRIPT_BUCKETS_S = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""A flush: from a round trip on this machine to the timeout of the store."""


class TimedRunner(AroundRunner):
    """Passes everything on to `runner`. `seconds` is a fine clock: a round trip takes less than a millisecond.

    The time of a flush counts once for each kind of script in it: its calls travel together, and their times
    can't be separated. A flush without an answer is an error of each kind in it; a script that raised, of its own.
    """

    def __init__(self, runner: ScriptRunner, registry: CollectorRegistry, seconds: Callable[[], float]) -> None:
        super().__init__(runner)
        self._seconds = seconds
        time = Histogram(
            "script_seconds",
            "Time of a flush to the store and back, for each kind of script in it.",
            ["script"],
            namespace=NAMESPACE,
            registry=registry,
            buckets=SCRIPT_BUCKETS_S,
        )
        errors = Counter(
            "script_errors_total",
            "Flushes without an answer, for each kind of script in them, and scripts that raised.",
            ["script"],
            namespace=NAMESPACE,
            registry=registry,
        )
        failures = Counter(
            "store_failures_total",
            "Flushes with an error of the store, by its meaning (stores/answers.py).",
            ["meaning"],
            namespace=NAMESPACE,
            registry=registry,
        )
        self._count_failure = {meaning: failures.labels(meaning).inc for meaning in MEANINGS}
        self._time, self._errors = time, errors
        self._observe: dict[str, Callable[[float], None]] = {}
        self._count_error: dict[str, Callable[[], None]] = {}
        self._know(load_sources())

    def _know(self, names: Iterable[str]) -> None:
        for name in sorted(names):
            self._observe[name] = self._time.labels(name).observe
            self._count_error[name] = self._errors.labels(name).inc

    def beside(self, inner: ScriptRunner) -> TimedRunner:
        """Return a runner around `inner`, which has jobs; it counts with this one."""
        self._know([*load_sources(JOBS.folder), *COMMANDS])
        other = copy.copy(self)
        other.inner = inner
        return other

    async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Run `calls`, and note how long that took. Raises what the runner raises."""
        start_s = self._seconds()
        kinds = {call[0] for call in calls}
        try:
            answers = await self.inner.run(calls)
        except ScriptFailed as error:
            self._count_failure["broken"]()
            self._failed({str(error).partition(":")[0]} & kinds or kinds)
            raise
        except StoreUnavailable as error:
            self._count_failure[error.meaning]()
            self._failed(kinds)
            raise
        took_s = self._seconds() - start_s
        for kind in kinds:
            self._observe[kind](took_s)
        return answers

    def _failed(self, kinds: set[str]) -> None:
        for kind in kinds:
            self._count_error[kind]()
