"""A scenario that is over in a few milliseconds."""

from __future__ import annotations

from pathlib import Path

from voxpool.sim.scenario.scenario import Scenario, load_scenario
from voxpool.sim.swarm.task import Task

TEXT = """
name = "small"
duration_s = 30

[[nodes]]
name = "n"
count = 2
pairs = ["en:fr"]

[[traffic]]
pair = "en:fr"
rate_per_s = 2.0
work_s = 0.3

[expect]
"jobs.failed" = "== 0"
"""


def small(folder: Path) -> Path:
    """Write the scenario into `folder`, and return its path."""
    path = folder / "small.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def tasks(folder: Path, count: int) -> list[Task]:
    """Return `count` seeds of the scenario."""
    scenario: Scenario = load_scenario(small(folder))
    return [Task(number, number + 1, "", "memory", scenario, {"a.b": "1"}) for number in range(count)]
