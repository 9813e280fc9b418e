"""The same run on virtual time, with costs: when each job's work began, and how many jobs resided."""

from __future__ import annotations

from dataclasses import dataclass, field

from voxpool.sim.observing.watch import Watcher
from voxpool.sim.scenario.scenario import Scenario
from voxpool.sim.world.clients import Request
from voxpool.sim.world.nodes import SimNode, Work
from voxpool.sim.world.run import play
from voxpool.sim.world.world import World


@dataclass
class Predicted:
    """What the simulation predicts for a run; times in seconds from the client's submit, by request id."""

    wait_s: dict[str, float] = field(default_factory=dict)
    """Until the work begins."""
    sojourn_s: dict[str, float] = field(default_factory=dict)
    """Until the client has the result."""
    resident: float = 0.0
    """Finished jobs in the table, on average."""


class _Times(Watcher):
    def __init__(self, world: World, found: Predicted) -> None:
        self._env = world.env
        self._found = found

    def work_started(self, worker: SimNode, work: Work) -> None:
        self._found.wait_s[work.request.request_id] = work.started_at - work.request.made_at

    def request_told(self, request: Request, state: str) -> None:
        self._found.sojourn_s[request.request_id] = self._env.now - request.made_at


def predict(scenario: Scenario) -> Predicted:
    """Play `scenario`."""
    found = Predicted()
    played = play(scenario, checkers=(), is_traced=False, watchers=[lambda world: _Times(world, found)])
    found.resident = float(played.run["resident"]["jobs_mean"] or 0.0)
    return found
