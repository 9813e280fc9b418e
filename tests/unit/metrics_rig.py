"""The rig with meters around its core, and the contents of a scrape."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tests.unit.fakes import HandClock
from tests.unit.rig import Rig
from voxpool.scheduler.config import Settings
from voxpool.scheduler.stores.memory import MemoryStore
from voxpool.scheduler.telemetry.metrics.exporter import Exporter, Meters

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Stopwatch:
    """A fine clock that advances by `step_s` at each reading."""

    def __init__(self, step_s: float = 0.25) -> None:
        self.now_s = 0.0
        self.step_s = step_s

    def __call__(self) -> float:
        self.now_s += self.step_s
        return self.now_s


def parsed(text: str) -> Samples:
    """Return the samples of a scrape: (name, sorted labels) -> value; without their creation times."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def families(text: str) -> set[str]:
    """Return the names that a scrape in the text format of Prometheus describes."""
    return {line.split(" ")[2] for line in text.splitlines() if line.startswith("# TYPE ")}


class MeteredRig(Rig):
    """A rig whose core is observed as in production."""

    def __init__(self, settings: Settings | None = None) -> None:
        store = MemoryStore()
        self.clock = HandClock(1_000_000)  # until the rig has its own
        self.meters = Meters(store, Stopwatch(), lambda: self.clock.ms)
        super().__init__(runner=self.meters.runner, settings=settings, observer=self.meters.observer)
        self.store = store
        self.exporter = Exporter(self.meters, self.core, store, settings or Settings())

    async def scrape(self) -> Samples:
        """Return the samples of a scrape now."""
        return parsed(await self.text())

    async def text(self, accept: str = "") -> str:
        """Return the text of a scrape."""
        return (await self.exporter.scrape(accept))[0].decode()

    async def value(self, name: str, **labels: str) -> float:
        """Return one sample; 0 when there is none."""
        return (await self.scrape()).get((f"voxpool_{name}", tuple(sorted(labels.items()))), 0.0)
