"""Known costs are measured correctly, and written so that the simulation can read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.sim.calibrate import machine
from voxpool.scheduler.errors import ConfigError
from voxpool.sim.calibrate.costs import Costs, halved, measure
from voxpool.sim.calibrate.plan import plan
from voxpool.sim.chance.distributions import Empirical
from voxpool.sim.chance.seeds import generator
from voxpool.sim.scenario.scenario import Scenario, with_costs


def test_the_costs_of_a_machine_are_measured() -> None:
    probes = [machine.measure_run(run) for runs in plan(machine.SIZE, 3) for run in runs if run.is_probe]
    costs = measure(probes, [machine.burst(500), machine.burst(1500)])
    assert np.mean(costs.link_ms) == pytest.approx(machine.LINK_MS, rel=0.05)
    assert np.std(costs.link_ms) == pytest.approx(0.6 * machine.LINK_MS, rel=0.25)
    assert costs.script_ms == pytest.approx(2 * machine.STORE_MS)
    assert costs.loop_ms == pytest.approx(machine.MESSAGE_MS)
    assert np.mean(costs.service_ms) == pytest.approx(machine.OVERHEAD_MS, rel=0.1)
    assert costs.accepted_ms == pytest.approx(costs.explained_ms, rel=0.1)
    assert costs.turnaround_ms == pytest.approx(
        2 * machine.LINK_MS + machine.MESSAGE_MS + 2 * machine.STORE_MS, rel=0.05
    )


def test_two_halves_add_up_to_the_measurement() -> None:
    sums = np.sort(generator(1, "sums").gamma(1.5, 2.0, 600)) + 0.5
    halves = halved(sums)
    assert halves.min() >= 0
    assert halves.mean() == pytest.approx(sums.mean() / 2)
    added = np.add.outer(halves, halves)
    for part in (0.1, 0.5, 0.9):
        assert np.quantile(added, part) == pytest.approx(np.quantile(sums, part), rel=0.1)
    assert not halved(np.zeros(5)).any()
    assert set(halved(np.full(5, 3.0))) == {1.5}


def test_written_costs_can_be_read(tmp_path: Path) -> None:
    costs = Costs(link_ms=(0.25, 0.5), script_ms=0.4, loop_ms=0.08, service_ms=(0.1, 0.30004))
    path = tmp_path / "costs.toml"
    path.write_text(costs.toml())
    scenario = Scenario(name="any", duration_s=10)
    read = with_costs(scenario, path)
    assert read.links.delay_ms == Empirical(values=(0.25, 0.5))
    assert read.service.overhead_ms == Empirical(values=(0.1, 0.3))
    assert (read.store.delay_ms, read.loop.message_ms) == (0.2, 0.08)
    assert costs.applied_to(scenario).links == read.links


def test_too_few_jobs_are_no_measurement() -> None:
    probe = machine.measure_run(plan(machine.SIZE, 3)[0][0])
    del probe.records[20:]
    with pytest.raises(ConfigError, match="20 jobs completed in the probes, 30 are needed"):
        measure([probe], [machine.burst()])


def test_the_plan_alternates_loads_with_different_seeds() -> None:
    rounds = plan(machine.SIZE, 1)
    assert [[run.load for run in runs] for runs in rounds] == [[0.5, 0.5, 0.7, 0.7, 0.79, 0.79]] * 2
    assert [[run.is_probe for run in runs] for runs in rounds] == [[True, False] * 3] * 2
    runs = [run for runs in rounds for run in runs]
    assert len({run.scenario.seed for run in runs}) == len({run.name for run in runs}) == len(runs)
    for run in runs:
        (traffic,), (nodes,) = run.scenario.traffic, run.scenario.nodes
        assert traffic.rate_per_s * machine.SIZE.work_s / (nodes.count * nodes.slots) == pytest.approx(run.load)
    assert plan(machine.SIZE, 1) == rounds
    assert plan(machine.SIZE, 2) != rounds
