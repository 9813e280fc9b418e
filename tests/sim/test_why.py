"""Why a job of a run went where it went: what production keeps, told after the run; asking changes nothing."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from voxpool.sim.cli.root import cli
from voxpool.sim.world.world import World


def a_node_dies(follow: tuple[str, ...]) -> World:
    """The second job's node dies under it."""
    world = World(seed=3, follow=follow)
    world.add_nodes(2, pairs=["zh:en"])
    world.run(for_s=1)
    jobs = [world.submit("zh:en", work_s=5) for _ in range(2)]
    world.run(for_s=1)
    holder = world.holder(jobs[1])
    assert holder is not None
    holder.crash()
    return world


def test_what_was_decided_is_told_when_the_job_is_long_forgotten() -> None:
    world = a_node_dies(follow=("s1-2",))
    assert world.finish() == []
    head, *lines = world.why.tell("s1-2")
    assert head == "s1-2:"
    assert [line.split(" s  ")[1].split()[0] for line in lines] == [
        *("submitted", "for", "attempt", "attempt", "for", "attempt", "ended:")
    ]
    assert world.core.dispatcher.find("s1-2") is None


def test_asking_changes_nothing_in_the_run() -> None:
    hashes = []
    for follow in ((), ("s1-1", "s1-2")):
        world = a_node_dies(follow)
        assert world.finish() == []
        assert world.trace is not None
        hashes.append(world.trace.hexdigest())
    assert hashes[0] == hashes[1]


def test_a_job_that_never_was_is_said_to_be_none() -> None:
    world = World(follow=("s1-99",))
    world.run()
    assert world.why.tell("s1-99") == ["s1-99: there was no such job in this run"]


def test_the_command_tells_of_each_job_that_it_is_asked_about(tmp_path: Path) -> None:
    scenario = tmp_path / "two.toml"
    scenario.write_text(
        """
        name = "two"
        duration_s = 5
        [[nodes]]
        count = 1
        pairs = ["zh:en"]
        [[traffic]]
        pair = "zh:en"
        rate_per_s = 1
        arrivals = "even"
        work_s = 0.5
        """
    )
    ran = CliRunner().invoke(cli, ["run", str(scenario), "--why", "s1-1", "--why", "s1-3"])
    assert ran.exit_code == 0, ran.output
    assert ran.output.count("gpu-1 is taken") == 2 and "s1-3:" in ran.output
