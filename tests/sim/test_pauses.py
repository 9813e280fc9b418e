"""Pauses of a table itself are distinguished from pauses that the machine caused once."""

from __future__ import annotations

from array import array

import pytest

from voxpool.sim.experiments.leak.pauses import OLD_SHARE, Round, longest

MS = 1_000_000
SIZES = [100, 200]
INSERTS = 201
"""The second size, and the one job that the sweep at the first size removed."""


def rounds() -> list[Round]:
    """Return two rounds in which the 50th insert takes 3 ms both times, as in a dict that grows."""
    both = []
    for collector_ms in (2, 1):
        inserts = array("Q", [MS] * INSERTS)
        inserts[50] = 3 * MS
        both.append(Round(inserts, [[MS], [2 * MS, MS]], [0, collector_ms * MS], [600.0, 500.0]))
    return both


def test_a_pause_in_every_round_counts() -> None:
    first, second = longest(SIZES, rounds())

    assert (first.jobs, first.insert_ms, first.sweep_ms, first.collector_ms, first.bytes_a_job) == (100, 3, 1, 0, 600)
    assert (second.jobs, second.insert_ms, second.sweep_ms, second.collector_ms, second.bytes_a_job) == (
        *(200, 3, 2, 1, 500),
    )


def test_a_pause_in_one_round_is_the_machines() -> None:
    """Not even one in each round counts if it hits different work."""
    disturbed = rounds()
    for one, number in zip(disturbed, (10, 120), strict=True):
        one.insert_ns[number] = 90 * MS
    disturbed[0].sweep_ns[1] = [2 * MS, 70 * MS]

    assert longest(SIZES, disturbed) == longest(SIZES, rounds())


@pytest.mark.parametrize(("number", "at_sizes"), [(99, (40, 40)), (100, (3, 40)), (200, (3, 40))])
def test_a_pause_counts_from_its_size_on(number: int, at_sizes: tuple[int, int]) -> None:
    """There are 100 inserts until the first size; the 101 others come after its sweep."""
    assert int(SIZES[0] * OLD_SHARE) == 1
    slow = rounds()
    for one in slow:
        one.insert_ns[number] = 40 * MS

    assert tuple(found.insert_ms for found in longest(SIZES, slow)) == at_sizes
