"""The sizes of the experiment `pools`, and the types of its figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from voxpool.sim.report.limits import Figure

Figures = dict[str, Figure]


@dataclass(frozen=True)
class Size:
    """The sizes for all defects. Numbers that define a defect, such as a pool of 1,000, are the same in every size."""

    members: int = 1000
    """C1: members of the pool, most of them dead."""
    alive: tuple[int, ...] = (1, 10, 50)
    tries: int = 2000
    """C1: first choices at each of `alive`."""
    shards: int = 10
    """C2: shards of 100 nodes; all nodes of the fourth leave."""
    lonely: int = 201
    """C3: nodes; the last one is alone in its shard."""
    draws_a_node: int = 30
    """C2, C3."""
    served: int = 1000
    """C4: nodes of a served pair."""
    choices: int = 300
    """C4, C5: number of choices and heartbeats of the mean cost."""
    pairs: tuple[int, ...] = (1, 100, 400)
    """C5: pairs of the node."""
    pool: int = 200
    """C9: members of the set for a draw with a negative count."""
    sets: int = 8
    """C9: number of sets with different members over which the figures are averaged."""
    small_pool: int = 100
    """C9: members of the set for a draw of two."""
    shares_a_node: int = 400
    """C9."""
    nodes_in_one: tuple[int, ...] = (10, 100, 1_000, 10_000, 100_000)
    pools: tuple[int, ...] = (1, 10, 100, 1_000, 10_000)
    nodes_in_pools: int = 10_000
    fair_draws: int = 20_000
    """Minimum number of draws; at least two per node."""
    rounds: int = 100
    """Batches of 64 jobs for the measurement of a cost."""


FULL = Size()
QUICK = Size(
    tries=300,
    choices=50,
    shares_a_node=100,
    nodes_in_one=(10, 1_000),
    pools=(1, 100),
    nodes_in_pools=1_000,
    fair_draws=5_000,
    rounds=10,
)


class Point(NamedTuple):
    """The cost of a choice at one size."""

    nodes: int
    pools: int
    commands: float
    us: float
    chi_square: float | None
    """Per degree of freedom; of the idle nodes of one pool."""
