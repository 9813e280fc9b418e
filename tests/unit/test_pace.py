"""A message at the minimum rate is completed, a slower one is closed."""

from __future__ import annotations

import pytest

from voxpool.scheduler.web.wire.allowance import Pace


def seconds_until_cut(pace: Pace, bytes_at_once: int, every_s: float, total: int) -> float | None:
    """Return when a message in parts is closed; None when it is completed."""
    now_s, last_s, received = 0.0, 0.0, bytes_at_once
    while received < total:
        now_s += every_s
        due_s = pace.due_s(0.0, last_s, received)
        if now_s > due_s:
            return due_s
        last_s, received = now_s, received + bytes_at_once
    return None


@pytest.mark.parametrize(
    ("bytes_at_once", "every_s", "cut_s"),
    [
        (4096, 1.0, None),
        (2 * 4096, 2.0, None),
        (1024**2, 19.0, None),
        (1024**2, 21.0, 20.0),
        (1, 1.0, 20.0),
        (2048, 1.0, 40.0),  # at half the rate it has twice the time
    ],
)
def test_the_allowed_time_grows_with_the_received_bytes(
    bytes_at_once: int, every_s: float, cut_s: float | None
) -> None:
    cut = seconds_until_cut(Pace(stall_s=20.0, bytes_per_s_min=4096), bytes_at_once, every_s, 10 * 1024**2)
    assert cut == pytest.approx(cut_s, rel=0.06) if cut_s else cut is None
