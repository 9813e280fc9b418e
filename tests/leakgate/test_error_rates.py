"""How often the verdict errs, on simulated processes whose truth is known; at full length by leakgate/bench.py."""

from __future__ import annotations

from collections import Counter

import pytest

from leakgate.judge import judge_memory
from leakgate.shapes import SHAPES, Setting, Shape, series_of

RUNS = 4
SETTING = Setting(every_s=1.5)
"""Half the readings of a real watch: quicker, and the harder case."""


def verdicts(shape: Shape, runs: int = RUNS, setting: Setting = SETTING) -> Counter[str]:
    return Counter(judge_memory(*series_of(shape, setting, seed)).verdict for seed in range(runs))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_no_healthy_shape_is_a_leak_and_no_leak_is_healthy(shape: Shape) -> None:
    found = verdicts(shape)
    wrong = "leak" if shape.truth == "healthy" else "no leak"
    assert found[wrong] == 0, found


def test_the_same_seed_gives_the_same_series() -> None:
    first, again, other = (series_of(SHAPES[0], SETTING, seed)[0].readings for seed in (1, 1, 2))
    assert first == again != other
