"""A token is written the same way everywhere: itself or @FILE. The doctor finds no problem in a default install."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.command_line import COMMAND, WITHIN_S, clean_environment, one_line, voxpool_here
from tests.e2e.processes import TONE, wait_until
from tests.e2e.secured import Keys, Secured
from voxpool.scheduler.errors import ConfigError, VoxpoolError
from voxpool.scheduler.sdk import Client, SubmitRejected, SyncClient, Worker
from voxpool.scheduler.sdk.http import HttpClient

PAIR = "zh:en"
WORKER = """
from voxpool.scheduler.sdk import worker

@worker(pairs=["zh:en"])
def work(work):
    return len(work.audio)

if __name__ == "__main__":
    work.main()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    running = Secured(folder, Keys(folder))
    yield running
    assert running.stop() == 0


@pytest.fixture
def files(server: Secured, tmp_path: Path) -> dict[str, str]:
    """Each token in a file, with a line break, as `voxpool token > FILE` writes it."""
    for name, secret in server.keys.secrets.items():
        (tmp_path / name).write_text(secret + "\n")
    return {name: f"@{tmp_path / name}" for name in server.keys.secrets}


def test_a_file_by_the_variable_for_commands_and_workers(server: Secured, files: dict[str, str], folder: Path) -> None:
    """`voxpool node`, a user's worker, and a client over HTTP and over a WebSocket."""
    wav = folder / "tone.wav"
    wav.write_bytes(TONE)
    program = folder / "my_worker.py"
    program.write_text(WORKER)
    at = {"VOXPOOL_URL": server.url}
    nodes = (
        [*COMMAND, "node", "--id", "by-command", "--pairs", PAIR, "--engine", "sleep:0"],
        [sys.executable, str(program), "--id", "by-variable"],
        [sys.executable, str(program), "--id", "by-flag", "--token", files["gpu"]],
    )
    started = []
    try:
        for number, words in enumerate(nodes):
            variable = {} if "--token" in words else {"VOXPOOL_TOKEN": files["gpu"]}
            environment = clean_environment(**at, **variable) | {"PYTHONPATH": os.getcwd()}
            with (folder / f"node-{number}.log").open("wb") as log:
                started.append(subprocess.Popen(words, env=environment, stdout=log, stderr=log))
        wait_until(lambda: len(server.node_ids()) == len(nodes) or any(node.poll() is not None for node in started))
        assert server.node_ids() == ["by-command", "by-flag", "by-variable"]
        submit = ("submit", "--pair", PAIR, str(wav))
        for command in (submit, (*submit, "--wait"), ("jobs",)):
            done = voxpool_here(*command, **at, VOXPOOL_TOKEN=files["ann"])
            assert done.returncode == 0, (command, done.stderr)
    finally:
        for node in started:
            node.send_signal(signal.SIGTERM)
        ended = [node.wait(WITHIN_S) for node in started]
    assert ended == [0, 0, 0]


async def test_a_file_by_the_argument_of_the_sdk(server: Secured, files: dict[str, str]) -> None:
    with HttpClient(server.url, token=files["ann"]) as http:
        assert list(http.jobs(1)) is not None
    async with Client(server.url, token=files["ann"], give_up_s=10) as client:
        with contextlib.suppress(SubmitRejected):  # no node serves the pair; the token was accepted all the same
            await client.start(TONE, PAIR)
        assert client.connects == 1


@pytest.mark.parametrize("content", ["", "two words", None])
def test_an_error_of_a_token_file_names_its_place(server: Secured, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "wrong"
    if content is not None:
        file.write_text(content)
    for place, given, variable in (("--token", ["--token", f"@{file}"], {}), ("VOXPOOL_TOKEN", [], f"@{file}")):
        environment = {"VOXPOOL_TOKEN": variable} if isinstance(variable, str) else {}
        line = one_line(voxpool_here("nodes", "--url", server.url, *given, **environment), 3)
        assert line.startswith(f"voxpool: {place}") and "token=" not in line
    for kind in (HttpClient, Client, SyncClient):
        with pytest.raises(ConfigError, match="token=") as wrong:
            kind(server.url, token=f"@{file}")
        assert "--token" not in str(wrong.value)
    with pytest.raises(ConfigError, match="token="):
        Worker(server.url, node_id="n", pairs=[PAIR], work=lambda work: 1, token=f"@{file}")


def test_a_hint_names_the_option_of_its_command(server: Secured) -> None:
    line = one_line(voxpool_here("nodes", "--url", server.url), 1)
    assert "--token" in line and "VOXPOOL_TOKEN" in line and "token=" not in line
    with pytest.raises(VoxpoolError) as refused, HttpClient(server.url) as client:
        list(client.nodes())
    assert "token=" in str(refused.value) and "--token" not in str(refused.value)


@pytest.mark.parametrize("files_max", [1024, 4096, 20_000])
def test_the_doctor_finds_no_problem_in_a_default_install(files_max: int) -> None:
    """Also on machines that allow fewer open files than the default of connections_max, which adapts."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    done = subprocess.run(
        [*COMMAND, "doctor", "--port", str(port), "--store", "memory"],
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=WITHIN_S,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files_max, files_max)),
    )
    assert done.returncode == 0 and "nothing wrong" in done.stdout, done.stdout + done.stderr
    assert f"{files_max} open files are allowed" in done.stdout, "it is noted all the same"
