"""Draws the sample: candidates by rank, so that a change of one file leaves the mutants of the others in the sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from mutation.lua_mutants import lua_candidates
from mutation.mutant import Candidate, Mutant
from mutation.python_mutants import python_candidates


def candidates(root: Path, paths: Iterable[str]) -> list[Candidate]:
    """Return all candidates of `paths` below `root`."""
    return [
        one for path in paths for one in (lua_candidates if path.endswith(".lua") else python_candidates)(root, path)
    ]


def draw(pool: list[Candidate], size: int, seed: int) -> list[Mutant]:
    """Return `size` mutants of `pool` (0: all), each text once, in the order of the pool."""
    drawn: dict[int, Mutant] = {}
    seen: set[tuple[str, str]] = set()
    for place in _by_rank(pool, seed):
        mutant = pool[place].make()
        if mutant is not None and (mutant.path, mutant.source) not in seen:
            seen.add((mutant.path, mutant.source))
            drawn[place] = mutant
            if len(drawn) == size:
                break
    return [drawn[place] for place in sorted(drawn)]


def _by_rank(pool: list[Candidate], seed: int) -> Iterator[int]:
    yield from sorted(range(len(pool)), key=lambda place: pool[place].rank(seed))
