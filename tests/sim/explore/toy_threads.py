"""Threads over shared variables: the fastest executions, with any dependence that a test wants to plant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from voxpool.sim.explore.model.execution import ADD, READ, WRITE, Footprint, MakeExecution, Step

NAMES = "ABCDEFGH"
KILL = "kill"


class Op(NamedTuple):
    """A step: read `key` into the thread's own memory, write that to `key`, add one, or end the thread `key`."""

    mode: str
    key: str


class Threads:
    """The end is the values of the variables and the values that the threads have read."""

    def __init__(self, programs: Sequence[Sequence[Op]], is_broken: Callable[[Sequence[str]], bool]) -> None:
        self.programs = programs
        self.places = [0] * len(programs)
        self.memory = [0] * len(programs)
        self.shared: dict[str, int] = {}
        self.is_broken = is_broken
        self.log: list[str] = []

    def open_steps(self) -> list[Step]:
        return [
            Step(f"{NAMES[thread]}{place} {program[place].mode} {program[place].key}", NAMES[thread])
            for thread, (program, place) in enumerate(zip(self.programs, self.places, strict=True))
            if place < len(program)
        ]

    def take(self, step: Step) -> Footprint:
        thread = NAMES.index(step.chain)
        op = self.programs[thread][self.places[thread]]
        self.places[thread] += 1
        self.log.append(step.label.partition(" ")[0])
        if op.mode == READ:
            self.memory[thread] = self.memory[thread] * 31 + self.shared.get(op.key, 0) + 1
        elif op.mode == WRITE:
            self.shared[op.key] = self.memory[thread] * 31 + thread + 1
        elif op.mode == ADD:
            self.shared[op.key] = self.shared.get(op.key, 0) + 1
        else:
            killed = NAMES.index(op.key)
            if killed < len(self.programs):
                self.places[killed] = len(self.programs[killed])
            return frozenset({(WRITE, f"thread {op.key}"), (WRITE, f"thread {step.chain}")})
        return frozenset({(op.mode, op.key), (WRITE, f"thread {step.chain}")})

    def end(self) -> str:
        return f"{sorted(self.shared.items())} {self.memory}"

    def broken(self) -> list[str]:
        return ["the planted order came: " + " ".join(self.log)] if self.is_broken(self.log) else []

    def close(self) -> None:
        pass


def threads(
    programs: Sequence[Sequence[Op]], is_broken: Callable[[Sequence[str]], bool] = lambda log: False
) -> MakeExecution:
    """Return a function that makes such executions; `is_broken` gets the ordered names of the steps: A0 B0 A1."""
    return lambda: Threads(programs, is_broken)


def padded(chains: int, length: int) -> list[list[Op]]:
    """Return programs of independent steps."""
    return [[Op(ADD, f"own {chain}")] * length for chain in range(chains)]


def comes_in_order(*names: str) -> Callable[[Sequence[str]], bool]:
    """Return a check that breaks when the named steps come in this order; alternating, they have depth n - 1."""

    def is_broken(log: Sequence[str]) -> bool:
        places = [log.index(name) for name in names if name in log]
        return len(places) == len(names) and places == sorted(places)

    return is_broken
