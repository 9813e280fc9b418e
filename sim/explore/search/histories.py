"""The states of the memory store in a search, and the possible outcomes of each draw.

The state is a function of the executed calls, because time and randomness are arguments. Each history is therefore run
once by the scripts of lua/ and shared by all schedules with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import lcm

from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.stores.memory import Dump, MemoryStore
from voxpool.scheduler.stores.script_sources import ScriptSource

MODULUS, FACTOR = 2147483647, 16807
"""The generator of select_node (Park and Miller)."""
SEED_ARGUMENT = 1
FIRST_WANT, FIXED = 4, 5
"""The layout of select_node's arguments."""
DRAWS = ("select_node", "draw")
"""Scripts with random draws; the second belongs to a variant (sim/experiments/*/without/)."""

Answers = list[list[str]]
Calls = Sequence[ScriptCall]


class State:
    """The store after a history of flushes: `answers` are those of the last one."""

    __slots__ = ("after", "answers", "calls", "draws", "dump", "parent")

    def __init__(self, parent: State | None, calls: Calls, answers: Answers) -> None:
        self.parent = parent
        self.calls = calls
        self.answers = answers
        self.after: dict[tuple[str, ...], State] = {}
        self.draws: dict[tuple[str, ...], list[State]] = {}
        self.dump: Dump | None = None


class Histories:
    """All states reached from the empty store; `scripts` replace lua/. It is used by all runs of a search."""

    def __init__(self, nodes_max: int, scripts: Mapping[str, ScriptSource] | None = None) -> None:
        self.root = State(None, (), [])
        self._store = MemoryStore(scripts)
        self._at = self.root
        self._nodes_max = nodes_max
        self._seeds: dict[int, list[int]] = {}

    def commit(self, before: State, calls: Calls) -> list[State]:
        """Return the possible states after `calls`: one for each different outcome of their draws."""
        key = _key(calls)
        states = before.draws.get(key)
        if states is None:
            states = before.draws[key] = self._draw(before, calls)
        return states

    def dump(self, state: State) -> Dump:
        """Return the content of the store in `state`."""
        if state.dump is None:
            self._go_to(state)
            state.dump = self._store.dump()
        return state.dump

    def _draw(self, before: State, calls: Calls) -> list[State]:
        selects = [i for i, call in enumerate(calls) if call.name in DRAWS]
        if not selects:
            return [self._run(before, calls)]
        assert len(selects) == 1, "a flush has at most one call that draws"
        states: dict[str, State] = {}
        at = selects[0]
        name = calls[at].name
        for seed in self._seeds_for(_wants(calls[at].args) if name == "select_node" else 1):
            args = calls[at].args.copy()
            args[SEED_ARGUMENT] = str(seed)
            state = self._run(before, [*calls[:at], ScriptCall(name, args), *calls[at + 1 :]])
            states.setdefault(repr(state.answers), state)
        return [states[answers] for answers in sorted(states)]

    def _run(self, before: State, calls: Calls) -> State:
        key = _key(calls)
        state = before.after.get(key)
        if state is None:
            self._go_to(before)
            state = before.after[key] = State(before, calls, self._store.run_now(calls))
            self._at = state
        return state

    def _go_to(self, state: State) -> None:
        if self._at is state:
            return
        self._store.clear()
        way = []
        step: State | None = state
        while step is not None:
            way.append(step.calls)
            step = step.parent
        for calls in reversed(way):
            self._store.run_now(calls)
        self._at = state

    def _seeds_for(self, wants: int) -> list[int]:
        """Return seeds that give every outcome of the draws for `wants` jobs.

        A draw is a whole number below the nodes that are left of a pool, so it is settled by the part of [0, 1) that
        its chance lies in, if the parts are as many as the least common multiple of all sizes that are possible there:
        one seed for each row of parts gives all outcomes. The k-th draw for the first job has at most nodes - k + 1
        left; where the draws for the next job begin depends on the chances before, so any size is possible.
        """
        if wants not in self._seeds:
            most = self._nodes_max
            sizes = [most - k for k in range(most)] if wants == 1 else [most] * most * wants
            parts = [lcm(*range(1, size + 1)) for size in sizes]
            missing = set(product(*(range(count) for count in parts)))
            found = []
            seed = 1
            while missing:
                row, chance = [], seed
                for count in parts:
                    chance = chance * FACTOR % MODULUS
                    row.append(chance * count // MODULUS)
                if tuple(row) in missing:
                    missing.remove(tuple(row))
                    found.append(seed)
                seed = seed * 48271 % MODULUS
            self._seeds[wants] = found
        return self._seeds[wants]


def _wants(args: Sequence[str]) -> int:
    count, at = 0, FIRST_WANT
    while at < len(args):
        count += 1
        at += FIXED + int(args[at + 4])
    return count


def _key(calls: Calls) -> tuple[str, ...]:
    return tuple(word for call in calls for word in (call.name, *call.args))
