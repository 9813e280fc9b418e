"""Errors before a load: each is one line that says what to do, exit code 3, and a report with it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.e2e.command_line import stranger
from tests.e2e.processes import Scheduler, wait_until
from tests.e2e.secured import WRONG, Keys, Secured
from tests.load.fake_scheduler import GOOD, fake_scheduler
from tests.load.locust_run import LocustRun, free_port
from voxpool.loadtest.options._options import DEFAULT_HOST, LoadOptions
from voxpool.loadtest.running._preflight import CannotLoad, examine, room_here, served_there


def refusal(host: str, clients: int = 1, nodes: int = 1, **options: str) -> str:
    """Return the reason why a load on that host is refused."""
    with pytest.raises(CannotLoad) as refused:
        examine(host, LoadOptions(**options), clients, nodes)  # type: ignore[arg-type]
    line = str(refused.value)
    assert "\n" not in line and WRONG not in line
    return line


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("http://127.0.0.1:1", "--host http://127.0.0.1:1: nothing listens there: start `voxpool serve`"),
        ("http://nobody.invalid:5010", "--host http://nobody.invalid:5010: there is no such host"),
        ("127.0.0.1:5010", "--host: '127.0.0.1:5010' is not the URL of a scheduler; write http://HOST:PORT"),
        ("ftp://127.0.0.1", "--host: 'ftp://127.0.0.1' is not the URL of a scheduler"),
        ("http://127.0.0.1:99999", "--host: 'http://127.0.0.1:99999' is not the URL of a scheduler"),
    ],
)
def test_a_wrong_host(host: str, says: str) -> None:
    assert refusal(host).startswith(says)


def test_a_host_without_a_scheduler() -> None:
    with stranger(b"SSH-2.0-OpenSSH_9.2\r\n") as port:
        assert "it does not speak HTTP there" in refusal(f"http://127.0.0.1:{port}")
    with fake_scheduler({"/healthz": {"hello": "world"}}) as url:
        assert "does not answer as a scheduler does" in refusal(url)
    with fake_scheduler({}) as url:
        assert "answers 404 as no scheduler does: check host and port" in refusal(url)


def test_a_scheduler_of_another_version() -> None:
    with fake_scheduler({**GOOD, "/openapi.json": {"info": {"version": "9.9.9"}}}) as url:
        assert "the scheduler is version 9.9.9, this load test" in refusal(url)
    with fake_scheduler(GOOD) as url:
        assert examine(url, LoadOptions(), 1, 1).left_out, "one of this version is let through"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A scheduler that requires tokens."""
    folder = tmp_path_factory.mktemp("secured")
    running = Secured(folder, Keys(folder))
    yield running
    assert running.stop() == 0


def test_a_rejected_token(secured: Secured) -> None:
    secrets = secured.keys.secrets
    client, node = secrets["ann"], secrets["gpu"]
    assert refusal(secured.url).startswith("--client-token: the scheduler requires tokens")
    assert refusal(secured.url, client_token=WRONG).startswith("--client-token: the scheduler refuses it")
    assert refusal(secured.url, client_token=node).startswith("--client-token: the scheduler refuses it")
    assert refusal(secured.url, client_token=client).startswith("--node-token: the scheduler requires tokens")
    says = "--node-token: the scheduler refuses it: "
    assert refusal(secured.url, client_token=client, node_token=WRONG) == says + "the token is unknown"
    assert refusal(secured.url, client_token=client, node_token=client) == says + "that token has another role"
    says = "--admin-token: the scheduler refuses it"
    assert refusal(secured.url, client_token=client, node_token=node, admin_token=WRONG).startswith(says)


def test_valid_tokens_are_accepted(secured: Secured) -> None:
    secrets = secured.keys.secrets
    tokens = LoadOptions(client_token=secrets["ann"], node_token=secrets["gpu"])
    without = examine(secured.url, tokens, 10, 10)
    assert (without.needs_tokens, without.left_out) == (True, "no --admin-token was given")
    seen = examine(secured.url, msgspec.structs.replace(tokens, admin_token=secrets["root"]), 10, 10)
    assert (seen.cleanup_interval_s, seen.left_out) == (60.0, "")
    no_nodes = examine(secured.url, LoadOptions(client_token=secrets["ann"]), 10, 0)
    assert no_nodes.needs_tokens


def test_a_scheduler_that_accepts_fewer_connections(tmp_path: Path) -> None:
    running = Scheduler(tmp_path, "memory", "--connections-max", "50")
    try:
        assert examine(running.url, LoadOptions(), 30, 20).settings["connections_max"] == 50
        assert refusal(running.url, 31, 20).startswith("connections: the scheduler accepts 50, this load needs 51")
    finally:
        assert running.stop() == 0


def test_unserved_pairs_are_refused_when_the_load_has_no_nodes() -> None:
    pools = {"pools": [{"pair": "a:b", "nodes": 2}, {"pair": "c:d", "nodes": 0}], "next_cursor": None}
    with fake_scheduler({**GOOD, "/v1/pools": pools}) as url:
        assert served_there(url, LoadOptions(), ["a:b"]) == ""
        with pytest.raises(CannotLoad, match=r"the scheduler has none for c:d, e:f, g:h and 1 more: start some with"):
            served_there(url, LoadOptions(), ["a:b", "c:d", "e:f", "g:h", "i:j"])
    with fake_scheduler(GOOD) as url:
        assert served_there(url, LoadOptions(), ["a:b"]).startswith("GET /v1/pools: ")


def test_the_hint_for_a_token_is_a_command_that_exists(secured: Secured, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    lines = [refusal(secured.url), refusal(secured.url, client_token=secured.keys.secrets["ann"])]
    for line in lines:
        words = line.split("`")[1].replace("TOKENS", str(tokens)).split()
        assert words[0] == "voxpool"
        done = subprocess.run([sys.executable, "-m", "voxpool.scheduler", *words[1:]], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert 'role = "client"' in tokens.read_text() and 'role = "node"' in tokens.read_text()


def test_a_signal_before_the_test_is_2_with_a_report_and_without_a_user(tmp_path: Path) -> None:
    """The scheduler of the run is still starting: nothing is measured, and no process stays."""
    with LocustRun(tmp_path, "--headless", "-u", "20", "-t", "1m", "--with-scheduler", "--store", "memory") as run:
        wait_until((run.folder / "scheduler.log").exists, 60)
        run.waits_for("")
        run.signal(signal.SIGTERM)
        assert run.end() == 2, run.text
        report = run.report()
        assert (report.verdict, report.exit_code, report.ended_by) == ("unclear", 2, "SIGTERM")
        assert "total users" not in run.text and "Traceback" not in run.text, run.text
        wait_until(lambda: run.left() == [])


def test_too_few_open_files_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """root may open any number of files, so the limit of the machine is simulated."""
    monkeypatch.setattr("voxpool.loadtest.running._preflight.allow", lambda files: min(files, 1000))
    room_here(100, 700)
    with pytest.raises(
        CannotLoad, match=r"^open files: this process may have 1000 and needs 1080 for its users: raise"
    ):
        room_here(100, 800)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--host", "http://127.0.0.1:1"), "nothing listens there: start `voxpool serve`"),
        (("--host", "http://127.0.0.1:1", "--processes", "2"), "nothing listens there"),
        (("--with-scheduler", "--store", "nonsense"), "--with-scheduler: `voxpool serve` ended at once"),
    ],
)
def test_a_run_that_cannot_start_reports_the_reason(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    """Here, in a worker, and in the scheduler of the run; the other reasons: test_preparing.py."""
    with LocustRun(tmp_path, "--headless", "-u", "200", "-t", "5s", *arguments) as run:
        assert run.end() == 3, run.text
        lines = [line for line in run.text.splitlines() if "/ERROR/" in line]
        assert len(lines) == 1 and says in lines[0] and "Traceback" not in run.text, run.text
        report = run.report()
        assert (report.verdict, report.exit_code) == ("unclear", 3) and says in report.why
        assert report.jobs is None or report.jobs.submitted == 0


def test_without_a_host_and_a_server_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default is the port of `voxpool serve`; the test uses another one, since a scheduler may run there."""
    assert DEFAULT_HOST == "http://127.0.0.1:5010"
    monkeypatch.setattr("voxpool.loadtest.running._preflight.DEFAULT_HOST", "http://127.0.0.1:1")
    says = "start `voxpool serve`, or check host and port; or let --with-scheduler start a scheduler for this run"
    assert refusal("http://127.0.0.1:1").endswith(says)


def test_a_worker_with_a_low_limit_of_files_ends_the_run(tmp_path: Path) -> None:
    """The master has no users, and does not know the limits of the workers."""
    port = free_port()
    load = ("--headless", "-u", "50", "-t", "1m", "--nodes", "900", "--with-scheduler", "--store", "memory")
    at_port = ("--master", "--expect-workers", "1", "--master-bind-port", port)
    with (
        LocustRun(tmp_path, *load, *at_port, name="master") as master,
        LocustRun(tmp_path, "--worker", "--master-port", port, name="worker", files=500) as worker,
    ):
        assert (master.end(), worker.end()) == (3, 0), master.text + worker.text
        report = master.report()
        assert (report.verdict, report.exit_code) == ("unclear", 3)
        assert report.why.startswith("a worker: open files: this process may have 500 and needs 1080 for its users")


def test_workers_end_when_their_master_cannot_start(tmp_path: Path) -> None:
    """Its port is in use, which is Locust's own error, but the forked workers must not stay."""
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = str(taken.getsockname()[1])
        at_port = ("--master-bind-port", port, "--master-port", port)
        with LocustRun(tmp_path, "--headless", "-t", "1s", "--processes=2", *at_port) as run:
            assert run.end() == 1, run.text
            assert "Address already in use" in run.text
            wait_until(lambda: commands_with(f"--master-bind-port\0{port}\0") == [])


def commands_with(words: str) -> list[str]:
    """Return the command lines of all processes that contain `words`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_text(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            found += [command] if words in command else []
    return found
