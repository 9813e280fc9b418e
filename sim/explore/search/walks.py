"""Random orders: each step drawn uniformly, or by priorities with change points (PCT).

PCT is the scheduler of Burckhardt, Kothari, Musuvathi and Nagarakatte (ASPLOS 2010): it finds a bug of depth d in a
run of at most k steps and n chains with a probability of at least 1 / (n k^(d-1)).
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
    """The choices of one run. Chains have random priorities; d - 1 times the current chain gets a lower priority."""

    def __init__(self, depth: int, steps: int, random: random.Random) -> None:
        self._random = random
        self._priorities: dict[str, float] = {}
        # Change point number i sets its chain to priority i, below all initial priorities.
        self._changes: dict[int, list[int]] = {}
        for number in range(1, depth):
            self._changes.setdefault(random.randrange(steps), []).append(number)
        self._above = float(depth)

    def choose(self, at: int, steps: Sequence[Step]) -> Step:
        """Return a step of the open chain with the highest priority."""
        chain = max(dict.fromkeys(step.chain for step in steps), key=self._priority)
        # Several open steps of one chain are alternatives of one step: a chain is ordered.
        draws = [step for step in steps if step.chain == chain]
        step = draws[0] if len(draws) == 1 else draws[self._random.randrange(len(draws))]
        for number in self._changes.get(at, ()):
            self._priorities[chain] = float(number)
        return step

    def _priority(self, chain: str) -> float:
        """Return the priority of `chain`; a new one gets a random position among the others."""
        priority = self._priorities.get(chain)
        if priority is None:
            priority = self._priorities[chain] = self._above + self._random.random()
        return priority


def pct_bound(depth: int, chains: int, steps: int) -> float:
    """Return the lower bound of the probability that a run finds a bug of `depth`."""
    return 1.0 / (chains * float(steps) ** (depth - 1))


class Sizes:
    """Numbers of steps and chains of the runs so far, for the change points and the bound."""

    def __init__(self) -> None:
        self.steps = 1
        self.chains = 1

    def see(self, taken: Sequence[Step]) -> None:
        """Record a run."""
        self.steps = max(self.steps, len(taken))
        self.chains = max(self.chains, len({step.chain for step in taken}))


def pct_walks(
    make_execution: MakeExecution, depth: int, runs: int, seed: int, budget: Budget, tell: Tell | None = None
) -> tuple[Tally, Sizes]:
    """Run `runs` orders drawn by PCT, after a run in the default order that gives their length."""
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
    """Run `runs` orders with each step drawn uniformly from the open ones."""

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
    """Run random orders, each with a separate seed. `is_complete` only means that all of them were run."""
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
