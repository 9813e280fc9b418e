"""How often the verdict on memory errs, on simulated saw-teeth whose truth is known."""

from __future__ import annotations

import pytest

from sim.calibration import Kind, rates, saw_teeth


@pytest.mark.parametrize(("sweeps", "correlation", "series"), [(150, 0.8, 500), (200, 0.5, 400), (400, 0.8, 300)])
def test_a_healthy_saw_tooth_raises_no_false_alarm(sweeps: int, correlation: float, series: int) -> None:
    """Even with a floor of nearly nothing, so that the floor isn't what keeps the alarms away."""
    found = rates(Kind(sweeps=sweeps, correlation=correlation), floor=1e-4, seed=5, count=series)

    assert found.leak < 0.005, found


def test_a_healthy_saw_tooth_with_enough_sweeps_is_told_from_a_leak() -> None:
    found = rates(Kind(sweeps=400, correlation=0.5), floor=2.0, seed=6, count=100)

    assert found.no_leak > 0.9, found


def test_the_power_is_what_the_module_says() -> None:
    """A leak that grows by four times the noise: found in about 90 %, and hardly ever taken for health."""
    found = rates(Kind(sweeps=400, correlation=0.5, leak=4.0), floor=2.0, seed=7, count=200)

    assert found.leak > 0.8, found
    assert found.no_leak <= 0.005, found


@pytest.mark.parametrize("begins", [0.5, 0.7, 0.85])
def test_a_leak_that_begins_late_is_not_taken_for_health(begins: float) -> None:
    found = rates(Kind(sweeps=400, correlation=0.5, leak=8.0, leak_from=begins), floor=2.0, seed=8, count=60)

    assert found.no_leak == 0.0, found


@pytest.mark.parametrize("kind", [Kind(sweeps=400, step=6.0), Kind(sweeps=400, warm_up=0.8)])
def test_a_step_and_a_late_plateau_are_no_leak(kind: Kind) -> None:
    assert rates(kind, floor=2.0, seed=9, count=60).leak == 0.0


def test_the_same_seed_gives_the_same_series() -> None:
    kind = Kind(sweeps=50)

    first, again, other = (next(saw_teeth(kind, seed, 1)).tolist() for seed in (1, 1, 2))

    assert first == again != other
    assert len(first) == 50
