"""How often the verdict on memory errs, on simulated saw-teeth whose truth is known."""

from __future__ import annotations

from collections import Counter

import pytest

from loadtest.memory._verdict import judge_memory
from sim.calibration import Kind, saw_teeth
from tests.load.memory_series import RETENTION_S, from_values, series

SERIES = 250
"""Of each correlation: 1,000 together. The noise is a standard deviation of 10 kB beside 50 bytes a job."""


def verdicts(kind: Kind, count: int, floor: float) -> Counter[str]:
    """Return how often each verdict came, of `count` series of 100 jobs a sweep; a unit of `kind` is 1 kB."""
    found: Counter[str] = Counter()
    for values in saw_teeth(kind, 1, count):
        made = series(len(values), live=from_values((1000.0 * values).tolist()), fields=lambda n: {"jobs_finished": 0})
        found[judge_memory(made, RETENTION_S, floor).verdict] += 1
    return found


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.5, 0.8])
def test_false_alarms_are_rare(correlation: float) -> None:
    """Of 1,000 healthy series fewer than five, with a floor of next to nothing: the hardest case."""
    found = verdicts(Kind(sweeps=150, correlation=correlation), SERIES, floor=0.01)
    assert found["leak"] <= 1, found


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_health_is_passed_with_the_floor_of_a_gate(correlation: float) -> None:
    found = verdicts(Kind(sweeps=150, correlation=correlation), 40, floor=50.0)
    assert found == {"no leak": 40}


def test_a_leak_of_200_bytes_a_job_is_found() -> None:
    """Over 150 sweeps of 100 jobs it is 3 MB: 300 standard deviations of the noise."""
    found = verdicts(Kind(sweeps=150, correlation=0.5, leak=300.0), 40, floor=50.0)
    assert found == {"leak": 40}
