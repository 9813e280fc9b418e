"""The figures of a run's pools: their sizes, and whether equal nodes got equal shares of jobs."""

from __future__ import annotations

from collections.abc import Mapping

from voxpool.loadtest.report._records import COUNTS_MAX, POOLS_MAX, NodeGroup, PoolFigures, Pools

EXPECTED_MIN = 5.0
"""Minimum number of jobs per node for chi-square (Cochran's rule)."""


def pools_of(
    seen: Mapping[str, PoolFigures], served: Mapping[tuple[str, str], int], unreadable: str = ""
) -> Pools | None:
    """Return the figures of `seen`, pools by pair, and `served`, jobs by (pairs of the node, node id).

    None when both are empty. `unreadable` is the reason why `seen` is empty.
    """
    if not seen and not served and not unreadable:
        return None
    counts: dict[str, list[int]] = {}
    for (pairs, _), jobs in served.items():
        counts.setdefault(pairs, []).append(jobs)
    groups = [_group(pairs, numbers) for pairs, numbers in sorted(counts.items())]
    judged = [group for group in groups if group.p_value is not None]
    degrees = sum(group.degrees for group in judged)
    chi_square = round(sum(group.chi_square for group in judged), 3)
    largest = sorted(seen.values(), key=lambda pool: (-pool.nodes, -pool.running_max, pool.pair))
    return Pools(
        count=len(seen) or len(groups),
        nodes_max=max([pool.nodes for pool in seen.values()] or [group.nodes for group in groups], default=0),
        pools=largest[:POOLS_MAX],
        groups=sorted(groups, key=lambda group: (-group.nodes, -group.jobs, group.pair))[:POOLS_MAX],
        chi_square=chi_square if degrees else None,
        degrees=degrees,
        p_value=_p_value(chi_square, degrees) if degrees else None,
        unreadable=unreadable,
    )


def _group(pairs: str, jobs: list[int]) -> NodeGroup:
    total = sum(jobs)
    fair = total / len(jobs)
    degrees = len(jobs) - 1
    chi_square = sum((count - fair) ** 2 for count in jobs) / fair if fair else 0.0
    return NodeGroup(
        pair=pairs,
        nodes=len(jobs),
        jobs=total,
        share_max=max(jobs) / total if total else 0.0,
        share_min=min(jobs) / total if total else 0.0,
        chi_square=round(chi_square, 3),
        degrees=degrees,
        p_value=_p_value(chi_square, degrees) if degrees and fair >= EXPECTED_MIN else None,
        counts=sorted(jobs, reverse=True)[:: -(-len(jobs) // COUNTS_MAX)],
    )


def _p_value(chi_square: float, degrees: int) -> float:
    from scipy.special import chdtrc

    return float(chdtrc(degrees, chi_square))
