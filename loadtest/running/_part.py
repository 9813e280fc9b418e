"""Defines the parts of a run, which start and stop with each test, and the context that they share."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from voxpool.loadtest.options._options import LoadOptions
from voxpool.loadtest.running._preflight import Seen
from voxpool.loadtest.running._shapes import Shape
from voxpool.loadtest.verdict._expectations import DEFAULTS
from voxpool.sim.scenario.expect import Expectation

Role = Literal["local", "master", "worker"]
"""local generates all load in one process; a master controls workers, and makes the verdict."""

FOLDER = Path("out") / "load"


class Part(Protocol):
    """One role in a run. Parts are made once per process, in the order of run.py, and stopped in reverse order."""

    def start(self) -> None:
        """Called when a test starts, after the context has its options and before users are spawned."""

    def stop(self) -> None:
        """Called after the users of the test have stopped. Only called after `start`."""


@dataclass(slots=True)
class Context:
    """The shared data of a run's parts; data of a test are set before the parts start."""

    environment: Any
    """Locust's."""
    runner: Any
    web_ui: Any
    """None without a page, as on workers."""
    role: Role
    options: LoadOptions = field(default_factory=LoadOptions)
    run_time_s: float | None = None
    """-t; None = not given."""
    shape: Shape | None = None
    """None on a worker."""
    nodes: int = 0
    """Node users of this test, in all processes."""
    host: str = ""
    """The scheduler's URL."""
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    """Start of the test, UTC."""
    folder: Path = FOLDER
    """Folder of the test's report; the first write creates it."""
    ended_by: str = ""
    """Why the test ended before its time; "" = it did not."""
    refused: str = ""
    """Why a started test could not continue, such as a worker without room; "" = it could."""
    gone: str = ""
    """The observation of a scheduler that went away during the run; "" = it stayed."""
    seen: Seen | None = None
    """What the scheduler reports about itself before the test; None on workers."""
    missing: list[str] = field(default_factory=list)
    """Missing measurements, a sentence each: with one the verdict can't be `holds`."""
    expectations: list[Expectation] = field(default_factory=lambda: list(DEFAULTS))
    """Expectations of the test."""
    notes: list[str] = field(default_factory=list)
    """Sentences for the report."""

    @property
    def decides(self) -> bool:
        """True when this process has the verdict, and writes the report."""
        return self.role != "worker"


def folder_of(out: str, started: datetime) -> Path:
    """Return the folder for the report of a test; `out` is the option."""
    return Path(out) if out else FOLDER / started.strftime("%Y%m%dT%H%M%SZ")
