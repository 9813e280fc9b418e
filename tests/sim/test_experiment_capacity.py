"""`capacity` at a small size: the theoretical number, the search, the simulation, and invalid options."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from voxpool.scheduler.errors import ConfigError
from voxpool.sim.chance.distributions import Distribution, Even, Exponential, Gamma, Lognormal, Pareto, variation
from voxpool.sim.cli.capacity import work_of
from voxpool.sim.experiments.capacity import question as capacity
from voxpool.sim.experiments.capacity.question import Demand, Found, Search, Size, plan, try_nodes
from voxpool.sim.experiments.processes import Part
from voxpool.sim.report.report import Outcome
from voxpool.sim.report.theory import Interval, spread_factor

DEMAND = Demand(rate_per_s=6.0, work_s=Exponential(2.0), p99_s=1.0, slots=2)
TINY = Size(jobs=1500, seeds=3)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials run in this process."""

    def run_parts(parts: Iterable[Part], progress: bool, at_once: int) -> dict[str, Any]:
        return {part.name: part.call(*part.args, lambda _: None) for part in parts}

    monkeypatch.setattr(capacity, "run_parts", run_parts)


def test_the_wait_depends_on_the_variance_of_the_work() -> None:
    """Jobs of M/D/c wait about half as long as those of M/M/c."""
    assert (spread_factor(1.0), spread_factor(0.0), spread_factor(2.0)) == (1.0, 0.5, 2.5)
    even, exponential = (Demand(18.0, work_s, 0.5, 2) for work_s in (Even(1.0), Exponential(1.0)))
    assert even.theory_p99_s(10) == pytest.approx(exponential.theory_p99_s(10) / 2)


def test_theory_finds_the_smallest_number_of_nodes() -> None:
    for rate in (0.1, 5.0, 137.0):
        demand = Demand(rate, Exponential(2.0), 0.5, 2)
        nodes = demand.theory_nodes()
        assert demand.theory_p99_s(nodes) <= 0.5
        assert nodes == demand.least_nodes or demand.theory_p99_s(nodes - 1) > 0.5


def test_the_simulated_wait_falls_with_the_nodes_and_nothing_is_lost() -> None:
    tried = [try_nodes(DEMAND, TINY, 1, "memory", nodes, lambda _: None) for nodes in (8, 9, 11)]

    assert tried[0].p99.mean > tried[1].p99.mean > tried[2].p99.mean
    assert all(found.lost == 0 for found in tried)
    assert tried[0].utilisation == pytest.approx(DEMAND.load(8), rel=0.1)


def test_the_whole_plan_holds_and_draws_its_curve(here: None, tmp_path: Path) -> None:
    report = plan(DEMAND, size=TINY, seed=2)

    assert report.outcome is Outcome.HOLDS, report.checks
    found = report.variants["with"]
    curve = {point["nodes"]: point for point in found["curve"]}
    assert curve[found["nodes"]]["p99_s"] <= 1.0
    assert len(curve) >= 4
    assert [path.name for path in report.write(out=tmp_path)] == ["capacity.svg", "report.html", "report.json"]


@pytest.mark.parametrize("needed", [25, 26, 27, 40, 200])
def test_the_search_finds_the_first_number_that_keeps_the_bound(needed: int) -> None:
    """It also finds it when the theory is far off, in either direction."""

    class Known(Search):
        def at(self, *numbers: int) -> list[Found]:
            return [Found(n, Interval(0.1 if n >= needed else 9.0, 0.0), 0.0, 0.5, 0) for n in numbers]

    demand = Demand(20.0, Exponential(2.0), 0.5, 1)  # at least 41 nodes; the theory gives more
    found: dict[int, Found] = {}
    search = Known(demand, TINY, 1, "memory", False, found)
    search.found.update({n: search.at(n)[0] for n in range(1, 1000)})

    assert search.run().nodes == max(needed, demand.least_nodes)


@pytest.mark.parametrize(
    ("text", "work"),
    [
        ("exponential:2", Exponential(2.0)),
        ("even:1.5", Even(1.5)),
        ("lognormal:2:0.8", Lognormal(2.0, 0.8)),
        ("gamma:2", Gamma(2.0)),
        ("pareto:1:3", Pareto(1.0, 3.0)),
    ],
)
def test_work_is_parsed_from_a_word(text: str, work: Distribution) -> None:
    assert work_of(text) == work


def test_measured_work_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "works.txt").write_text("1\n3\n")

    work = work_of(f"empirical:{tmp_path / 'works.txt'}")

    assert work.mean == 2.0 and variation(work) == 0.5


@pytest.mark.parametrize(
    "text", ["normal:2", "exponential", "exponential:2:1", "lognormal:2:x", "gamma:-1", "empirical:no"]
)
def test_invalid_work_is_reported_in_one_line(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        work_of(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "demand",
    [
        Demand(0.0, Exponential(2.0), 0.5, 2),
        Demand(math.nan, Exponential(2.0), 0.5, 2),
        Demand(1.0, Exponential(2.0), -1.0, 2),
        Demand(1.0, Exponential(2.0), math.nan, 2),
        Demand(1.0, Exponential(2.0), 0.5, 0),
        Demand(1.0, Pareto(2.0, 2.0), 0.5, 1),
        Demand(1e9, Exponential(2.0), 0.5, 1),
        Demand(math.inf, Exponential(2.0), 0.5, 1),
    ],
)
def test_an_impossible_plan_is_refused(demand: Demand) -> None:
    with pytest.raises(ConfigError):
        plan(demand)
