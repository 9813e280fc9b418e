"""The decisions about a job of a run, as production records them, printed after the run."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from voxpool.sim.cli.root import cli
from voxpool.sim.world.world import World


def a_node_dies(follow: tuple[str, ...]) -> World:
    """The node of the second job crashes during it."""
    world = World(seed=3, follow=follow)
    world.add_nodes(2, pairs=["zh:en"])
    world.run(for_s=1)
    jobs = [world.submit("zh:en", work_s=5) for _ in range(2)]
    world.run(for_s=1)
    holder = world.holder(jobs[1])
    assert holder is not None
    holder.crash()
    return world


def test_decisions_are_shown_after_the_retention_of_the_job() -> None:
    world = a_node_dies(follow=("s1-2",))
    assert world.finish() == []
    head, *lines = world.why.tell("s1-2")
    assert head == "s1-2:"
    assert [line.split(" s  ")[1].split()[0] for line in lines] == [
        *("submitted", "for", "attempt", "attempt", "for", "attempt", "ended:")
    ]
    assert world.core.dispatcher.find("s1-2") is None


def test_recording_decisions_does_not_change_the_run() -> None:
    hashes = []
    for follow in ((), ("s1-1", "s1-2")):
        world = a_node_dies(follow)
        assert world.finish() == []
        assert world.trace is not None
        hashes.append(world.trace.hexdigest())
    assert hashes[0] == hashes[1]


def test_an_unknown_job_is_reported() -> None:
    world = World(follow=("s1-99",))
    world.run()
    assert world.why.tell("s1-99") == ["s1-99: there was no such job in this run"]


def test_the_command_shows_each_requested_job(tmp_path: Path) -> None:
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
