"""What a run is made of: parts that start and stop with each test, and the facts about the test that all receive."""

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
"""local generates all load itself; a master tells workers what to do, and has the verdict."""

FOLDER = Path("out") / "load"


class Part(Protocol):
    """One role in a run. Parts are made once a process, in the order of run.py, and stopped in the opposite one."""

    def start(self) -> None:
        """A test starts: the context has its options. Users come afterwards."""

    def stop(self) -> None:
        """The test is over: its users are gone. Only called after `start`."""


@dataclass(slots=True)
class Context:
    """What parts know of the run in which they are; what changes from test to test is set before they start."""

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
    """When the test started, UTC."""
    folder: Path = FOLDER
    """Folder of this test's report; the first write creates it."""
    ended_by: str = ""
    """Why the test ended before its time; "" = it did not."""
    refused: str = ""
    """Why the test could not go on though it had started: a worker has no room; "" = it could."""
    gone: str = ""
    """What was seen of a scheduler that went away in mid run; "" = it stayed."""
    seen: Seen | None = None
    """What the scheduler reports about itself before the test; None on workers."""
    missing: list[str] = field(default_factory=list)
    """What could not be measured, a sentence each: the verdict can't be that the run holds."""
    expectations: list[Expectation] = field(default_factory=lambda: list(DEFAULTS))
    """What the figures of the test have to be."""
    notes: list[str] = field(default_factory=list)
    """Sentences for the report."""

    @property
    def decides(self) -> bool:
        """True when this process has the verdict, and writes the report."""
        return self.role != "worker"


def folder_of(out: str, started: datetime) -> Path:
    """Return the folder for the report of a test; `out` is the option."""
    return Path(out) if out else FOLDER / started.strftime("%Y%m%dT%H%M%SZ")
