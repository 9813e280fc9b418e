"""Each example runs unchanged as a process against a real scheduler; the examples pass mypy."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import EXAMPLES, Process, Scheduler, wait_until
from tests.e2e.test_processes import started

WAVS = sorted(file.name for file in EXAMPLES.glob("*.wav"))
MISUSE = """
from voxpool.scheduler.sdk import Client, Work, worker

@worker(pairs=["zh:en"], slots="2")
def wants_a_number(work: Work) -> str:
    return work.pair

@worker(pairs=["zh:en"])
def takes_audio(audio: bytes) -> str:
    return "x"

number: int = wants_a_number(Work("j", 1, "zh:en", b""))

async def main(client: Client) -> None:
    result = await client.submit("a text", "zh:en")
    print(result.no_such_field)
    async for done in client.map([b""], "zh:en"):
        print(done.result.output)
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """A scheduler for the examples, which serve and use en:en."""
    with started(Scheduler(tmp_path_factory.mktemp("examples"), "memory")) as scheduler:
        yield scheduler


def environment(scheduler: Scheduler) -> dict[str, str]:
    """The environment in which the examples find the scheduler, by VOXPOOL_URL."""
    return {**os.environ, "VOXPOOL_URL": scheduler.url, "PYTHONPATH": os.getcwd()}


def output_of(scheduler: Scheduler, example: str) -> list[str]:
    """Run an example to its end and return its lines."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / example)],
        env=environment(scheduler),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("node", ["worker.py", "worker_async.py"])
def test_clients_and_nodes_of_ten_lines_work_together(own: Scheduler, node: str) -> None:
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / node), "--id", "example"], env=environment(own), stderr=subprocess.PIPE
    )
    try:
        wait_until(lambda: process.poll() is not None or own.node_ids() == ["example"])
        answers = [f"{name} completed {{'bytes': {(EXAMPLES / name).stat().st_size}}}" for name in WAVS]
        assert output_of(own, "client.py") == answers
        assert output_of(own, "script.py") == answers
        many = output_of(own, "many.py")
        assert sorted(line.split(" ", 1)[1] for line in many) == [
            f"{name}: {{'bytes': {(EXAMPLES / name).stat().st_size}}}" for name in WAVS
        ]
        assert [line.split(" ")[0] for line in many] == [f"{number}/{len(WAVS)}" for number in range(1, len(WAVS) + 1)]
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.communicate()
    wait_until(lambda: own.node_ids() == [])


def test_a_custom_load_test_runs_on_our_session_user(own: Scheduler, tmp_path: Path) -> None:
    """Its pairs, audio, think time and tasks are its own; Locust's statistics have connects, submits, results and
    cancels; no load run of ours is needed.
    """
    node = Process(tmp_path, "node", "node", "--url", own.url, "--id", "n1", "--pairs", "zh:en,en:zh", "--slots", "5")
    try:
        wait_until(lambda: own.node_ids() == ["n1"])
        done = subprocess.run(
            [
                *(sys.executable, "-m", "locust", "-f", str(EXAMPLES / "locustfile_small.py"), "--host", own.url),
                *("--headless", "-u", "3", "-r", "10", "-t", "4s", "--json", "--skip-log", "-T", "sentence"),
            ],
            cwd=tmp_path,
            env=environment(own),
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        node.stop()
    assert done.returncode == 0, done.stdout + done.stderr
    stats = {f"{entry['method']} {entry['name']}": entry for entry in json.loads(done.stdout)}
    assert set(stats) == {"WS connect", "WS submit", "WS result"}
    assert stats["WS connect"]["num_requests"] == 3
    assert stats["WS submit"]["num_requests"] == stats["WS result"]["num_requests"] >= 3
    assert sum(entry["num_failures"] for entry in stats.values()) == 0
    wait_until(lambda: own.node_ids() == [])


def test_a_job_is_inspected_and_cancelled(own: Scheduler) -> None:
    first, last = output_of(own, "cancel.py")
    assert first.endswith("nodes of its pair: 0") and last == "cancelled"


def test_wrong_usage_of_a_node_prints_the_usage(own: Scheduler) -> None:
    command = [sys.executable, str(EXAMPLES / "worker.py"), "--slots", "0"]
    done = subprocess.run(command, env=environment(own), capture_output=True, text=True, timeout=60)
    assert done.returncode == 3 and "1<=x<=1000" in done.stderr
    done = subprocess.run([*command[:2], "--url", "nowhere"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 3 and "http://HOST:PORT" in done.stderr


def test_the_examples_are_typed_and_misuse_is_found(tmp_path: Path) -> None:
    """mypy --strict passes on the examples, and reports each wrong line of a misuse."""
    wrong = tmp_path / "misuse.py"
    wrong.write_text(MISUSE)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--no-pretty", "--no-error-summary"]
    done = subprocess.run([*mypy, *sorted(map(str, EXAMPLES.glob("*.py"))), str(wrong)], capture_output=True, text=True)
    errors = [line.split(":") for line in done.stdout.splitlines() if ": error:" in line]
    assert {Path(file).name for file, *_ in errors} == {wrong.name}, done.stdout
    assert [int(line) for _, line, *_ in errors] == [4, 8, 12, 15, 16, 18], done.stdout
