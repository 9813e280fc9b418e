"""The scenario of `faults` with all faults: runs whose options and faults are drawn from seeds (sim/swarm)."""

from __future__ import annotations

from collections import Counter

from voxpool.sim.experiments.rows import Figures, Stage
from voxpool.sim.swarm.coverage import known
from voxpool.sim.swarm.one_seed import play_seed


def all_faults(stage: Stage) -> Figures:
    """Run all kinds of faults, with all fixes only; the other scenarios show the defects."""
    if not stage.has_fix:
        return {}
    begun: Counter[str] = Counter()
    requests = failed = 0
    for number in range(stage.size.seeds):
        result = play_seed(stage.seed + number)
        begun.update(result.reached.get("faults", {}))
        requests += result.requests
        failed += result.failed
        stage.broken += result.broken
        stage.tell(number / stage.size.seeds)
    return {
        "failed": failed,
        "requests": requests,
        "begun": sum(begun.values()),
        "kinds": len(begun),
        "never": len(known()["faults"]) - len(begun),
    }
