"""Simulates a measured run in virtual time, with costs: start of work of each job, and number of resident jobs."""

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
    """The prediction for a run; times in seconds since the client's submit, by request id."""

    wait_s: dict[str, float] = field(default_factory=dict)
    """Time until the work begins."""
    sojourn_s: dict[str, float] = field(default_factory=dict)
    """Time until the client receives the result."""
    resident: float = 0.0
    """Mean number of finished jobs in the table."""


class _Times(Watcher):
    def __init__(self, world: World, found: Predicted) -> None:
        self._env = world.env
        self._found = found

    def work_started(self, worker: SimNode, work: Work) -> None:
        self._found.wait_s[work.request.request_id] = work.started_at - work.request.made_at

    def request_ended(self, request: Request, state: str) -> None:
        self._found.sojourn_s[request.request_id] = self._env.now - request.made_at


def predict(scenario: Scenario) -> Predicted:
    """Simulate `scenario` and return its prediction."""
    found = Predicted()
    played = play(scenario, checkers=(), is_traced=False, watchers=[lambda world: _Times(world, found)])
    found.resident = float(played.run["resident"]["jobs_mean"] or 0.0)
    return found
