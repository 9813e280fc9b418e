"""Pauses between attempts to connect grow up to a bound, which may be lower for the grace of a session."""

from __future__ import annotations

import random

import pytest

from voxpool.scheduler.sdk.wire.backoff import FIRST_S, LONGEST_S, Backoff


@pytest.mark.parametrize("longest_s", [LONGEST_S, 0.25])
def test_pauses_double_up_to_the_longest(longest_s: float) -> None:
    backoff = Backoff(random.Random(1))
    backoff.longest_s = longest_s
    pauses_s = [backoff.pause_s() for _ in range(12)]
    assert FIRST_S / 2 <= pauses_s[0] <= FIRST_S
    assert max(pauses_s) <= longest_s and min(pauses_s[-3:]) >= longest_s / 2
    backoff.reset()
    assert backoff.pause_s() <= FIRST_S
