"""The content of results: a mix-up and an audio swap are found in every seed, and change the trace hash."""

from __future__ import annotations

from functools import cache

import pytest

from voxpool.sim.checkers import EveryResultIsItsOwn
from voxpool.sim.planted.table import PLANTED
from voxpool.sim.swarm.one_seed import play_seed
from voxpool.sim.world.content import audio_of, output_of

SEEDS = (2, 5, 9, 14)
"""In seeds 1, 8, 12 and 13 at most eleven jobs complete."""


@pytest.mark.parametrize("name", ["outputs are mixed up", "audio is swapped"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_mix_up_is_found_in_each_seed(name: str, seed: int) -> None:
    """The checker at the client and the trace hash find it."""
    mixed = play_seed(seed, variant=PLANTED[name].make())
    assert any(line.startswith(EveryResultIsItsOwn.sentence) for line in mixed.broken)
    assert mixed.trace_hash != hash_of_whole(seed)


@cache
def hash_of_whole(seed: int) -> str:
    return play_seed(seed).trace_hash


def test_audio_and_output_distinguish_jobs() -> None:
    """Also for audio of the same size, and for the same audio of two jobs."""
    one, two = audio_of("r1", 1000), audio_of("r2", 1000)
    assert (len(one), one == two) == (1000, False)
    outputs = [output_of("j1", one), output_of("j1", two), output_of("j2", one), output_of("j1", audio_of("r1", 999))]
    assert len({str(output) for output in outputs}) == 4
