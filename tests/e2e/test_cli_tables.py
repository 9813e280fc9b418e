"""`voxpool jobs` is a table with a header and can be watched; long helps are grouped."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.command_line import COMMAND, clean_environment, voxpool_here
from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, until, wait_until
from voxpool.scheduler.sdk import Client, Work, Worker, WorkFailed
from voxpool.scheduler.sdk.http import HttpClient

HEADER = ["job", "pair", "state", "node", "attempts", "age", "reason"]


def table(text: str) -> list[dict[str, str]]:
    """Return the rows of a table by the names of its columns. Each row has a value for each column."""
    head, *rows = [line.split() for line in text.splitlines()]
    assert head == HEADER, text
    return [dict(zip(head, row, strict=True)) for row in rows]


async def test_jobs_are_listed_in_columns(scheduler: Scheduler, pair: str, folder: Path) -> None:
    """Each job has its pair, state, node, attempts, age and reason of failure; a single job has its output below."""

    def work(work: Work) -> str:
        if work.audio != TONE:
            raise WorkFailed("engine_error", "no such speaker")
        return "a text"

    worker = Worker(scheduler.url, node_id=f"node-{pair[:-3]}", pairs=[pair], work=work)
    at = ("--url", scheduler.url)
    async with running(worker):
        await until(lambda: worker.node_id in scheduler.node_ids())
        with HttpClient(scheduler.url) as client:
            good = await asyncio.to_thread(client.submit, TONE, pair, wait_s=10)
            bad = await asyncio.to_thread(client.submit, TONE + b"\0\0", pair, wait_s=10)
    listed = voxpool_here("jobs", "--limit", "1000", *at)
    assert listed.returncode == 0, listed.stderr
    ours = [row for row in table(listed.stdout) if row["pair"] == pair]
    ages = [row.pop("age") for row in ours]
    assert ours == [
        {
            "job": bad.job_id,
            "pair": pair,
            "state": "failed",
            "node": worker.node_id,
            "attempts": "1",
            "reason": bad.error,
        },
        {
            "job": good.job_id,
            "pair": pair,
            "state": "completed",
            "node": worker.node_id,
            "attempts": "1",
            "reason": "-",
        },
    ]
    assert all(age.endswith("s") for age in ages)
    whole = voxpool_here("jobs", good.job_id, bad.job_id, *at).stdout.splitlines()
    assert [row["job"] for row in table("\n".join(whole[:3]))] == [good.job_id, bad.job_id]
    assert f'{good.job_id}  output  "a text"' in whole[3:]


class Watching:
    """A `voxpool jobs --watch`, and its output so far."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.log = folder / "watch.log"
        with self.log.open("wb") as out:
            command = [*COMMAND, "jobs", "--watch", *arguments]
            self.process = subprocess.Popen(command, stdout=out, stderr=out, env=clean_environment())

    def __enter__(self) -> Watching:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def text(self) -> str:
        return self.log.read_text()

    def states(self, job_id: str) -> list[str]:
        """Return the displayed states of a job."""
        return [row["state"] for row in table(self.text) if row["job"] == job_id]


async def test_a_watch_of_jobs_ends_with_them(scheduler: Scheduler, pair: str, folder: Path) -> None:
    """It prints a row for each change, and its exit code is 0."""
    with HttpClient(scheduler.url) as client:
        job = await asyncio.to_thread(client.submit, TONE, pair)
    with Watching(folder, job.job_id, "--url", scheduler.url) as watching:
        await until(lambda: job.job_id in watching.text or watching.process.poll() is not None)
        assert watching.process.poll() is None, watching.text
        worker = Worker(scheduler.url, node_id=f"node-{pair[:-3]}", pairs=[pair], work=lambda work: 1)
        async with running(worker):
            await until(lambda: watching.process.poll() is not None)
        assert watching.process.returncode == 0
        states = watching.states(job.job_id)
        assert (states[0], states[-1]) == ("waiting", "completed")
        assert table(watching.text)[-1]["node"] == worker.node_id


async def test_a_watch_of_jobs_exits_with_1_when_one_of_them_does_not_complete(
    scheduler: Scheduler, pair: str, folder: Path
) -> None:
    """A script that waits for jobs can use the exit code. A plain listing exits with 0."""
    worker = Worker(scheduler.url, node_id=f"node-{pair[:-3]}", pairs=[pair], work=lambda work: 1)
    async with running(worker):
        await until(lambda: worker.node_id in scheduler.node_ids())
        with HttpClient(scheduler.url) as client:
            good = await asyncio.to_thread(client.submit, TONE, pair, wait_s=10)
            bad = await asyncio.to_thread(client.submit, TONE, f"no-{pair}")
            await asyncio.to_thread(client.cancel, bad.job_id)
    at = ("--url", scheduler.url)
    codes = [
        (await asyncio.to_thread(voxpool_here, "jobs", *words, *at)).returncode
        for words in (("--watch", good.job_id), ("--watch", good.job_id, bad.job_id), (good.job_id, bad.job_id))
    ]
    assert codes == [0, 1, 0]


def test_a_watched_listing_shows_new_jobs(scheduler: Scheduler, pair: str, folder: Path) -> None:
    with Watching(folder, "--limit", "5", "--url", scheduler.url) as watching:
        wait_until(lambda: "attempts" in watching.text or watching.process.poll() is not None)
        assert watching.process.poll() is None, watching.text
        with HttpClient(scheduler.url) as client:
            job = client.submit(TONE, pair)
            wait_until(lambda: job.job_id in watching.text)
            client.cancel(job.job_id)
        wait_until(lambda: watching.states(job.job_id)[-1] == "cancelled")


async def test_a_watched_listing_misses_no_change_although_it_lists_few(
    scheduler: Scheduler, pair: str, folder: Path
) -> None:
    """More jobs come between two requests than are listed; each has a row when it comes and one when it ends."""
    (folder / "state").mkdir()
    at = ("--limit", "2", "--url", scheduler.url)
    with Watching(folder, *at) as watching, Watching(folder / "state", "--state", "waiting", *at) as waiting:
        await until(lambda: "attempts" in watching.text and "attempts" in waiting.text)
        async with Client(scheduler.url) as client:
            jobs = [await client.start(TONE, pair) for _ in range(8)]
            for one in (watching, waiting):
                await until(lambda one=one: [one.states(job.job_id) for job in jobs] == [["waiting"]] * 8)  # type: ignore[misc]
            for job in jobs:
                await job.cancel()
            for one in (watching, waiting):
                await until(
                    lambda one=one: [one.states(job.job_id) for job in jobs] == [["waiting", "cancelled"]] * 8  # type: ignore[misc]
                )


def test_commands_are_listed_in_groups_with_a_complete_sentence_each() -> None:
    for program in ("voxpool.scheduler", "voxpool.sim", "voxpool.loadtest"):
        done = subprocess.run([sys.executable, "-m", program, "--help"], capture_output=True, text=True, check=True)
        commands = done.stdout.split("Options:")[1]
        assert "..." not in commands
        groups = commands.split("\n\n")[1:]
        assert all(group.splitlines()[0].rstrip().endswith(":") for group in groups), groups
        assert max(len(re.findall(r"^  \w", group, re.MULTILINE)) for group in groups) <= 8
    assert "JOB_IDS]...\n" not in voxpool_here("jobs", "--help").stdout.split("Options:")[1]


@pytest.mark.parametrize(
    ("command", "headings"),
    [
        ("serve", ["Where it listens", "Who gets in", "Store", "Jobs", "Nodes", "Sessions", "Connections"]),
        ("doctor", ["The scheduler", "Where it listens", "Store"]),
        ("submit", ["The scheduler"]),
        ("node", ["The scheduler"]),
    ],
)
def test_the_help_of_commands_with_many_options_is_grouped(command: str, headings: list[str]) -> None:
    """Groups are short, and each option is in one group."""
    done = voxpool_here(command, "--help")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    found = [line[:-1] for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert found[0] == "Options" and [heading for heading in headings if heading not in found] == []
    groups = done.stdout.split("\n\n")
    options = [[line for line in group.splitlines() if line.startswith("  -")] for group in groups]
    assert max(map(len, options)) <= 12
    names = [line.split()[0] for group in options for line in group]
    assert len(names) == len(set(names))
