"""How much the experiment `pools` measures, and the figures that its parts return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from voxpool.sim.report.limits import Figure

Figures = dict[str, Figure]


@dataclass(frozen=True)
class Size:
    """The sizes of all rows. What stands for a defect, such as a pool of 1,000, is the same in every size."""

    members: int = 1000
    """C1: of the pool, most of them dead."""
    alive: tuple[int, ...] = (1, 10, 50)
    tries: int = 2000
    """C1: first choices at each of `alive`."""
    shards: int = 10
    """C2: of 100 nodes; all nodes of the fourth leave."""
    lonely: int = 201
    """C3: nodes, the last one alone in its shard."""
    draws_a_node: int = 30
    """C2, C3."""
    served: int = 1000
    """C4: nodes of a pair that is served."""
    choices: int = 300
    """C4, C5: choices and beats whose cost is the mean."""
    pairs: tuple[int, ...] = (1, 100, 400)
    """C5: that the node serves."""
    pool: int = 200
    """C9: members for a draw with a negative count."""
    sets: int = 8
    """C9: of other members each, whose figures the mean is of."""
    small_pool: int = 100
    """C9: members for a draw of two."""
    shares_a_node: int = 400
    """C9."""
    nodes_in_one: tuple[int, ...] = (10, 100, 1_000, 10_000, 100_000)
    pools: tuple[int, ...] = (1, 10, 100, 1_000, 10_000)
    nodes_in_pools: int = 10_000
    fair_draws: int = 20_000
    """At least; and two a node."""
    rounds: int = 100
    """Batches of 64 jobs by which a cost is taken."""


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
    """What a choice costs at one size."""

    nodes: int
    pools: int
    commands: float
    us: float
    chi_square: float | None
    """A degree; of idle nodes of one pool."""
