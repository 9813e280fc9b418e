"""Runs one execution with a function that chooses each step, and returns its outcome; an exception ends the run."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

from voxpool.sim.explore.model.execution import MakeExecution, Step
from voxpool.sim.explore.search.schedule import Departure, Schedule, WrongSchedule

Choose = Callable[[int, Sequence[Step]], Step]
"""A function of the number of the step, from 0, and the open steps."""
STEPS_MAX = 5_000
"""A run with more steps counts as endless."""
NO_END = f"no end after {STEPS_MAX:,} steps"


class Taken(NamedTuple):
    """A step of a run: the taken step, and the open ones, of which the first is the default."""

    step: Step
    steps: tuple[Step, ...]


class Run(NamedTuple):
    """An execution from its start to its end."""

    taken: Sequence[Taken]
    end: Hashable
    broken: list[str]

    @property
    def schedule(self) -> Schedule:
        """Return the departures from the default order."""
        return tuple(
            Departure(at, step.label) for at, (step, steps) in enumerate(self.taken) if step.label != steps[0].label
        )


def run_execution(make_execution: MakeExecution, choose: Choose) -> Run:
    """Run an execution to its end, each step chosen by `choose`."""
    taken: list[Taken] = []
    execution = make_execution()
    try:
        while steps := tuple(execution.open_steps()):
            if len(taken) >= STEPS_MAX:
                return Run(taken, NO_END, [NO_END])
            step = choose(len(taken), steps)
            taken.append(Taken(step, steps))
            try:
                execution.take(step)
            except Exception as error:
                return Run(taken, raised(error), [raised(error)])
        return Run(taken, execution.end(), execution.broken())
    finally:
        execution.close()


def follow(make_execution: MakeExecution, schedule: Schedule) -> Run:
    """Run an execution by `schedule`; raises WrongSchedule when one of its steps isn't open where it should be."""
    wanted = dict(schedule)

    def choose(at: int, steps: Sequence[Step]) -> Step:
        label = wanted.pop(at, None)
        if label is None:
            return steps[0]
        for step in steps:
            if step.label == label:
                return step
        raise WrongSchedule(f"schedule: step {at} can't be {label!r}; open: " + "; ".join(s.label for s in steps))

    run = run_execution(make_execution, choose)
    if wanted:
        at, label = next(iter(wanted.items()))
        raise WrongSchedule(f"schedule: step {at} can't be {label!r}: the execution ends after {len(run.taken)} steps")
    return run


def raised(error: Exception) -> str:
    """Return the text of an exception in a step, used as end and as violation."""
    cause = error.__cause__ or error
    return f"a step raised {type(cause).__name__}: {cause}"


def sentence(broken: str) -> str:
    """Return the violated check: the text before the details."""
    return broken.partition(":")[0]
