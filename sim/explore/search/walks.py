"""Random orders: each step drawn evenly, or by priorities with change points (PCT).

PCT is the scheduler of Burckhardt, Kothari, Musuvathi and Nagarakatte (ASPLOS 2010): it finds a bug of depth d in a
run of at most k steps and n chains with a chance of at least 1 / (n k^(d-1)).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.explore.model.execution import MakeExecution, Step
from voxpool.sim.explore.model.running import Choose, run_execution
from voxpool.sim.explore.search.depth_first import TELL_EVERY, Tell
from voxpool.sim.explore.search.tally import Budget, Tally


class Pct:
    """One run's choices. Chains have priorities, in a random order; d - 1 times the one that just ran drops below."""

    def __init__(self, depth: int, steps: int, random: random.Random) -> None:
        self._random = random
        self._priorities: dict[str, float] = {}
        # The change point of number i puts its chain on priority i, below all that chains begin with.
        self._changes: dict[int, list[int]] = {}
        for number in range(1, depth):
            self._changes.setdefault(random.randrange(steps), []).append(number)
        self._above = float(depth)

    def choose(self, at: int, steps: Sequence[Step]) -> Step:
        """Return a step of the open chain with the highest priority."""
        chain = max(dict.fromkeys(step.chain for step in steps), key=self._priority)
        # Several open steps of one chain are draws of one step: no chain overtakes itself.
        draws = [step for step in steps if step.chain == chain]
        step = draws[0] if len(draws) == 1 else draws[self._random.randrange(len(draws))]
        for number in self._changes.get(at, ()):
            self._priorities[chain] = float(number)
        return step

    def _priority(self, chain: str) -> float:
        """Return the priority of `chain`; one that is new gets any place among the others."""
        priority = self._priorities.get(chain)
        if priority is None:
            priority = self._priorities[chain] = self._above + self._random.random()
        return priority


def pct_bound(depth: int, chains: int, steps: int) -> float:
    """Return the least chance that a run finds a bug of `depth`."""
    return 1.0 / (chains * float(steps) ** (depth - 1))


class Sizes:
    """Steps and chains of the runs so far: what the change points are spread over, and what the bound speaks of."""

    def __init__(self) -> None:
        self.steps = 1
        self.chains = 1

    def see(self, taken: Sequence[Step]) -> None:
        """Take note of a run."""
        self.steps = max(self.steps, len(taken))
        self.chains = max(self.chains, len({step.chain for step in taken}))


def pct_walks(
    make_execution: MakeExecution, depth: int, runs: int, seed: int, budget: Budget, tell: Tell | None = None
) -> tuple[Tally, Sizes]:
    """Run `runs` orders drawn by PCT. A run in the default order says first how long they are."""
    sizes = Sizes()
    first = run_execution(make_execution, lambda at, steps: steps[0])
    sizes.see([taken.step for taken in first.taken])

    def choices(random: random.Random) -> Choose:
        return Pct(depth, sizes.steps, random).choose

    tally = _walks(Tally(f"PCT of depth {depth}"), make_execution, choices, runs, seed, budget, tell, sizes)
    return tally, sizes


def random_walks(
    make_execution: MakeExecution, runs: int, seed: int, budget: Budget, tell: Tell | None = None
) -> Tally:
    """Run `runs` orders with each step drawn evenly from the open ones."""

    def choices(random: random.Random) -> Choose:
        return lambda at, steps: steps[random.randrange(len(steps))]

    return _walks(Tally("random orders"), make_execution, choices, runs, seed, budget, tell, Sizes())


def _walks(
    tally: Tally,
    make_execution: MakeExecution,
    choices: Callable[[random.Random], Choose],
    runs: int,
    seed: int,
    budget: Budget,
    tell: Tell | None,
    sizes: Sizes,
) -> Tally:
    """Run them, each from a seed of its own. `is_complete` says that all of them were run, no more than that."""
    tally.is_complete = True
    for number in range(runs):
        if tally.is_used_up(budget):
            tally.is_complete = False
            break
        run = run_execution(make_execution, choices(plain_random(seed, f"walk/{tally.way}/{number}")))
        sizes.see([taken.step for taken in run.taken])
        tally.add(run.end, run.broken, len(run.taken), lambda run=run: run)  # type: ignore[misc]
        if tell is not None and number % TELL_EVERY == 0:
            tell(number / runs)
    return tally.closed()
