"""`voxpool submit`: many files at a time, each reported when it ends, with a progress bar on a terminal."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command_line import COMMAND, WITHIN_S, Ran, clean_environment, one_line, voxpool_here
from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, until
from voxpool.scheduler.sdk import Work, Worker
from voxpool.scheduler.sdk.http import HttpClient

FILES = 12


@pytest.fixture
def files(folder: Path) -> list[Path]:
    made = [folder / f"{number}.wav" for number in range(FILES)]
    for file in made:
        file.write_bytes(TONE)
    return made


class Engine:
    """Answers with the length of the audio; records the maximum number of concurrent jobs."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.wanted = 1
        """No job ends before this many were active at once."""
        self.gate = asyncio.Event()
        self.gate.set()
        self._enough = asyncio.Event()

    async def __call__(self, work: Work) -> int:
        self.now += 1
        self.most = max(self.most, self.now)
        if self.now >= self.wanted:
            self._enough.set()
        try:
            await self._enough.wait()
            await asyncio.sleep(0.05)
            await self.gate.wait()
        finally:
            self.now -= 1
        return len(work.audio)


@pytest.fixture
async def engine(scheduler: Scheduler, pair: str) -> AsyncIterator[Engine]:
    """The engine of a node with a slot for each file."""
    work = Engine()
    worker = Worker(scheduler.url, node_id=f"node-{pair[:-3]}", pairs=[pair], slots=FILES, work=work)
    async with running(worker):
        await until(lambda: worker.node_id in scheduler.node_ids())
        yield work


def submitting(scheduler: Scheduler, pair: str, *words: str | Path) -> tuple[str | Path, ...]:
    """Return the command that submits files and waits for their results."""
    return ("submit", "--url", scheduler.url, "--pair", pair, "--wait", "--json", *words)


def reported(done: Ran) -> list[dict[str, object]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


async def test_many_files_at_a_time_but_not_too_many(
    scheduler: Scheduler, pair: str, files: list[Path], engine: Engine
) -> None:
    """At most three files are active with a limit of three; without a terminal there is no bar."""
    engine.wanted = 3
    arguments = submitting(scheduler, pair, "--at-most", "3", *files)
    done = await asyncio.to_thread(voxpool_here, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    jobs = reported(done)
    assert sorted(str(job["file"]) for job in jobs) == sorted(map(str, files))
    assert {(job["state"], job["pair"], job["output"]) for job in jobs} == {("completed", pair, len(TONE))}
    assert engine.most == 3 and "type" not in jobs[0]


async def test_a_bar_on_a_terminal_and_the_results_in_a_file(
    scheduler: Scheduler, pair: str, files: list[Path], engine: Engine, folder: Path
) -> None:
    """Standard error is a terminal, standard output is not: the bar is only written to the terminal."""
    ours, theirs = pty.openpty()
    results = folder / "results"
    with results.open("wb") as output:
        command = [*COMMAND, "submit", "--url", scheduler.url, "--pair", pair, "--wait", "--json", *map(str, files)]
        process = _start(command, stdout=output, stderr=theirs)
    os.close(theirs)
    shown = await asyncio.to_thread(_read_all, ours)
    assert await asyncio.to_thread(process.wait, WITHIN_S) == 0
    assert len([json.loads(line) for line in results.read_text().splitlines()]) == FILES
    assert f"{FILES}/{FILES}" in shown and pair in shown


async def test_a_job_that_does_not_end_in_time_is_cancelled_and_reported(
    scheduler: Scheduler, pair: str, files: list[Path], engine: Engine
) -> None:
    engine.gate.clear()
    arguments = submitting(scheduler, pair, "--timeout-s", "1", *files[:2])
    done = await asyncio.to_thread(voxpool_here, *arguments)
    assert done.returncode == 1
    assert [(job["state"], job["error"]) for job in reported(done)] == [("cancelled", "no_result_in_time")] * 2
    assert done.stderr.splitlines()[0] == f"{files[0]}: no result within 1 s, so it is cancelled"
    await until(lambda: engine.now == 0)


async def test_ctrl_c_cancels_the_unfinished_jobs(
    scheduler: Scheduler, pair: str, files: list[Path], engine: Engine
) -> None:
    engine.gate.clear()
    command = [*COMMAND, "submit", "--url", scheduler.url, "--pair", pair, "--wait", *map(str, files[:2])]
    process = _start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    await until(lambda: engine.now == 2)
    process.send_signal(signal.SIGINT)
    message, complained = await asyncio.to_thread(process.communicate, timeout=WITHIN_S)
    assert (process.returncode, message, complained) == (130, b"", b"\n")
    await until(lambda: engine.now == 0)


def test_without_waiting_the_jobs_stay(scheduler: Scheduler, pair: str, files: list[Path]) -> None:
    """They are listed in the order of the files, over HTTP."""
    done = voxpool_here("submit", "--url", scheduler.url, "--pair", pair, "--json", *files)
    assert [(job["file"], job["state"]) for job in reported(done)] == [(str(file), "waiting") for file in files]
    with HttpClient(scheduler.url) as client:
        for job in reported(done):
            assert client.cancel(str(job["job_id"])).state == "cancelled"


@pytest.mark.parametrize("wait", [(), ("--wait",)], ids=["", "wait"])
def test_a_rejected_file_is_reported_and_the_others_continue(
    scheduler: Scheduler, pair: str, files: list[Path], wait: tuple[str, ...]
) -> None:
    files[0].write_bytes(b"this is no audio")
    arguments: tuple[str | Path, ...] = (
        "submit",
        "--url",
        scheduler.url,
        "--pair",
        pair,
        "--json",
        "--timeout-s",
        "1",
        *wait,
        *files[:2],
    )
    done = voxpool_here(*arguments)
    assert done.returncode == 1
    assert f"{files[0]}: refused: not_audio: this is not a WAV file" in done.stderr
    jobs = {str(job["file"]): job for job in reported(done)}
    assert (jobs[str(files[0])]["state"], jobs[str(files[0])]["error"]) == ("rejected", "not_audio")
    assert jobs[str(files[1])]["state"] == ("cancelled" if wait else "waiting")


def test_a_missing_scheduler_is_reported_at_once(files: list[Path]) -> None:
    """With --wait, however, a scheduler that goes away is waited for."""
    for wait in ((), ("--wait",)):
        done = voxpool_here("submit", "--url", "http://127.0.0.1:1", "--pair", "en:en", *wait, *files)
        assert "nothing listens there" in one_line(done, 1)


def _start(command: list[str], **streams: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, env=clean_environment(TERM="xterm"), **streams)


def _read_all(terminal: int) -> str:
    """Return the output of a terminal until its other end is closed."""
    return b"".join(_pieces(terminal)).decode()


def _pieces(terminal: int) -> Iterator[bytes]:
    try:
        while piece := os.read(terminal, 65536):
            yield piece
    except OSError:  # EIO: the other end is closed
        os.close(terminal)
