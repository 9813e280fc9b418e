"""The costs of a machine as a part of a scenario: each cost shows in the waits, alone and to the millisecond."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from voxpool.scheduler.errors import ConfigError
from voxpool.sim.chance.distributions import Empirical
from voxpool.sim.cli.play import play_file
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.scenario.scenario import Loop, Nodes, Scenario, Service, Traffic, load_scenario
from voxpool.sim.world.run import Played, play
from voxpool.sim.world.traffic import Stream
from voxpool.sim.world.world import World

COSTS = """
[links]
delay_ms = 2.0
[store]
delay_ms = 3.0
[service.overhead_ms]
dist = "empirical"
values = [5.0, 5.0]
[loop]
message_ms = 7.0
"""


def one_job(**tables: Any) -> Played[World]:
    """One job of 1 s on one node."""
    traffic = Traffic(pair="zh:en", rate_per_s=1.0, work_s=1.0, arrivals="even", start_s=1.0, end_s=2.5)
    nodes = [Nodes(count=1, pairs=["zh:en"])]
    return play(Scenario(name="one", duration_s=10, nodes=nodes, traffic=[traffic], **tables))


def test_the_overhead_of_service_is_independent_of_the_speed() -> None:
    plain = one_job()
    played = one_job(service=Service(overhead_ms=Empirical(values=(40.0,))))
    assert plain.run["sojourn_s"]["mean"] == pytest.approx(1.0)
    assert played.run["sojourn_s"]["mean"] == pytest.approx(1.04)
    assert played.run["wait_s"] == plain.run["wait_s"]
    assert played.broken == []


def test_a_message_keeps_the_loop_busy() -> None:
    """The submit is read before the wait begins, the result after the work: a sojourn includes one message."""
    played = one_job(loop=Loop(message_ms=10.0))
    assert played.run["start_wait_s"]["mean"] == pytest.approx(0.0)
    assert played.run["sojourn_s"]["mean"] == pytest.approx(1.01)
    assert played.broken == []


def test_messages_that_come_together_wait_for_each_other() -> None:
    """Ten simultaneous submits are read one after the other, 10 ms each."""
    read_at: list[float] = []

    class Reads(Watcher):
        def __init__(self, world: World) -> None:
            self._world = world

        def job_submitted(self, job: object) -> None:
            read_at.append(self._world.env.now)

    traffic = Traffic(pair="zh:en", rate_per_s=1.0, work_s=1.0, arrivals="bursts", burst=10)
    nodes = [Nodes(count=5, pairs=["zh:en"], slots=2)]
    scenario = Scenario(name="ten", duration_s=60, nodes=nodes, traffic=[traffic], loop=Loop(message_ms=10.0), seed=3)
    played = play(scenario, watchers=[Reads])
    assert played.broken == [] and len(read_at) % 10 == 0 and read_at
    assert read_at[9] - read_at[0] == pytest.approx(0.09)


def test_a_busy_loop_loses_nothing_when_the_scheduler_dies() -> None:
    world = World(seed=5, message_ms=20.0, delay_ms=1.0)
    world.add_nodes(2, pairs=["zh:en"])
    world.run(for_s=1)
    traffic = Traffic(pair="zh:en", rate_per_s=10.0, work_s=0.1, start_s=1.0)
    world.env.process(Stream(traffic, "t0", 5, 20.0).run(world.env, world.clients))
    world.run(for_s=5)
    world.do(world.faults.begin, "scheduler_crash", None)
    world.run(for_s=5)
    assert world.finish() == []
    assert not world.clients.open and world.recorder.notified > 100


def test_a_file_of_costs_replaces_the_tables_of_a_scenario(tmp_path: Path) -> None:
    path, costs = tmp_path / "one.toml", tmp_path / "costs.toml"
    path.write_text('name = "one"\nduration_s = 10\n[links]\ndelay_ms = 100.0\n')
    costs.write_text(COSTS)
    scenario = load_scenario(path, costs)
    assert (scenario.links.delay_ms, scenario.store.delay_ms, scenario.loop.message_ms) == (2.0, 3.0, 7.0)
    assert scenario.service.overhead_ms == Empirical(values=(5.0, 5.0))
    assert load_scenario(path).links.delay_ms == 100.0

    costs.write_text("[loop]\nmessage_ms = 7.0\n")
    assert load_scenario(path, costs).links.delay_ms == 100.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[nodes]\n", "has no key 'nodes'; a file of costs can have links, store, service, loop"),
        ("[loop]\nmessage = 1.0\n", "loop has no key 'message'; did you mean message_ms?"),
        ("[loop]\nmessage_ms = -1.0\n", "loop.message_ms = -1.0: must be at least 0"),
        ('[service.overhead_ms]\ndist = "empirical"\n', "needs a file or values"),
        ('[service.overhead_ms]\ndist = "empirical"\nvalues = [1.0, -1.0]\n', "must be at least 0"),
    ],
)
def test_an_invalid_file_of_costs_is_reported_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    path, costs = tmp_path / "one.toml", tmp_path / "costs.toml"
    path.write_text('name = "one"\nduration_s = 10\n')
    costs.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_scenario(path, costs)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_predicted_arrivals_of_a_stream_are_right() -> None:
    traffic = Traffic(pair="zh:en", rate_per_s=5.0, work_s=0.1, start_s=1.0, arrivals="bursts", burst=3)
    reported = list(Stream(traffic, "t0", 7, 20.0).schedule())

    made: list[tuple[float, str, float]] = []

    class Made(Watcher):
        def __init__(self, world: World) -> None:
            self._world = world

        def request_made(self, request: Any) -> None:
            made.append((self._world.env.now, request.request_id, request.work_s))

    play(Scenario(name="s", duration_s=20, seed=7, nodes=[Nodes(count=1, pairs=["zh:en"])], traffic=[traffic]),
         watchers=[Made])  # fmt: skip
    assert [at for at, _ in reported] == pytest.approx([at for at, _, _ in made])
    assert [(request.request_id, request.work_s) for _, request in reported] == [(name, work) for _, name, work in made]


def test_the_waits_of_a_run_include_its_costs(tmp_path: Path) -> None:
    costs = tmp_path / "costs.toml"
    costs.write_text(COSTS)
    report, _ = play_file(
        Path("quiet"), seed=1, quick=True, store="memory", out=None, costs=costs, progress=lambda _: nullcontext(None)
    )
    assert report.options["costs"] == str(costs)
    assert report.variants["with"]["start_wait_s"]["p50"] == pytest.approx(0.003 * 2 + 0.002)
