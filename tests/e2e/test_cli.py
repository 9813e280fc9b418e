"""The commands that inspect a running scheduler and change it, run as processes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.e2e.command_line import COMMAND, WITHIN_S, clean_environment, one_line, voxpool, voxpool_here
from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, until
from voxpool.scheduler.cli.root import cli
from voxpool.scheduler.sdk import Worker
from voxpool.scheduler.sdk.http import HttpClient


def test_a_job_from_submit_to_cancel_on_the_command_line(scheduler: Scheduler, pair: str, folder: Path) -> None:
    """It is submitted without a node and waits, `why` explains it, `jobs` lists it, `cancel` ends it; each also as
    JSON.
    """
    wav = folder / "a file.wav"
    wav.write_bytes(TONE)
    submitted = voxpool("submit", "--url", scheduler.url, "--pair", pair, "--why", "--json", wav)
    assert submitted.returncode == 0, submitted.stderr
    job = json.loads(submitted.stdout)
    assert (job["file"], job["state"], job["pair"]) == (str(wav), "waiting", pair)
    job_id = job["job_id"]

    reported = voxpool_here("why", job_id, "--url", scheduler.url)
    assert reported.returncode == 0 and f"nodes of {pair} now: none" in reported.stdout
    why = json.loads(voxpool_here("why", job_id, "--url", scheduler.url, "--json").stdout)
    assert why["job"]["job_id"] == job_id and why["decisions"]

    shown = voxpool_here("jobs", job_id, VOXPOOL_URL=scheduler.url)
    assert shown.stdout.splitlines()[1].split()[:4] == [job_id, pair, "waiting", "-"]
    listed = voxpool_here("jobs", "--json", "--state", "waiting", "--limit", "1000", VOXPOOL_URL=scheduler.url)
    assert job_id in [json.loads(line)["job_id"] for line in listed.stdout.splitlines()]
    pools = [
        json.loads(line) for line in voxpool_here("pools", "--json", VOXPOOL_URL=scheduler.url).stdout.splitlines()
    ]
    assert [pool["waiting"] for pool in pools if pool["pair"] == pair] == [1]

    cancelled = voxpool_here("cancel", job_id, "--url", scheduler.url, "--json")
    assert cancelled.returncode == 0 and json.loads(cancelled.stdout)["state"] == "cancelled"
    again = voxpool_here("cancel", job_id, "--url", scheduler.url)
    assert again.returncode == 0 and again.stdout.split()[:2] == [job_id, "cancelled"]


async def test_a_drained_node_gets_no_jobs_until_it_is_undrained(scheduler: Scheduler, pair: str) -> None:
    worker = Worker(scheduler.url, node_id=f"node-{pair[:-3]}", pairs=[pair], work=lambda work: 1)
    async with running(worker):
        await until(lambda: worker.node_id in scheduler.node_ids())
        drained = voxpool_here("drain", worker.node_id, "--url", scheduler.url)
        assert drained.returncode == 0, drained.stderr
        assert drained.stdout.splitlines()[1].split() == [worker.node_id, "draining", "0", "1", pair]
        with HttpClient(scheduler.url) as client:
            assert client.submit(TONE, pair, wait_s=0.3).state == "waiting"
            off = voxpool_here("drain", worker.node_id, "--off", "--json", "--url", scheduler.url)
            assert json.loads(off.stdout)["state"] == "ready"
            await until(lambda: worker.done == 1)
        await until(lambda: (worker.node_id, 0) in _running(scheduler))
        nodes = voxpool("nodes", "--url", scheduler.url).stdout.splitlines()
        assert nodes[0].split() == ["node_id", "state", "running", "slots", "pairs"]
        assert [worker.node_id, "ready", "0", "1", pair] in [line.split() for line in nodes]


def _running(scheduler: Scheduler) -> list[tuple[str, int]]:
    """Return how many jobs each node runs; a result comes before its slot is free."""
    return [(node["node_id"], node["running"]) for node in scheduler.get("/v1/nodes")["nodes"]]


def test_an_unknown_id_is_one_line(scheduler: Scheduler) -> None:
    """Ids are user input and may contain anything; they never change the path of a request."""
    at = ("--url", scheduler.url)
    assert "no job 'j-1'" in one_line(voxpool_here("jobs", "j-1", *at), 1)
    assert "voxpool: " in one_line(voxpool_here("cancel", "../nodes", *at), 1)
    assert "no job '?'" in one_line(voxpool_here("why", "?", *at), 1)
    assert "voxpool: unknown_node: no node 'ghost' is connected" in one_line(voxpool_here("drain", "ghost", *at), 1)
    assert "can't be read: No such file" in one_line(voxpool_here("submit", "--pair", "en:en", "no.wav", *at), 3)
    assert one_line(voxpool_here("cancel", *at), 3).startswith("voxpool cancel: Missing argument 'JOB_IDS...'")


def test_a_closed_pipe_is_no_error(scheduler: Scheduler) -> None:
    """`head`, for example, closes the other end of the pipe. No traceback is printed."""
    end, pipe = os.pipe()
    os.close(end)
    command = [*COMMAND, "nodes", "--url", scheduler.url]
    done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, env=clean_environment(), timeout=WITHIN_S)
    os.close(pipe)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_each_command_and_each_option_has_help(name: str) -> None:
    """The help of all commands is read in this process."""
    command = cli.commands[name]
    shown = CliRunner().invoke(cli, [name, "--help"], prog_name="voxpool")
    assert shown.exit_code == 0 and f"Usage: voxpool {name} " in shown.output
    options = [option for option in command.get_params(click.Context(command)) if isinstance(option, click.Option)]
    assert options and [option.name for option in options if not option.help] == []
    assert command.help and "." in command.help
