"""Reading real processes by pid: growth shows in the right figure, and unreadable figures have a reason."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.leakgate.foreign import child, until
from voxpool.leakgate.errors import NoReading, Restarted
from voxpool.leakgate.readings import process
from voxpool.leakgate.readings.process import ProcessReader, descendants, started_s

GROWS = """
import ctypes, mmap, os, sys, threading
print("ready", flush=True)
kept = []
for line in sys.stdin:
    what = line.strip()
    if what == "mmap":
        kept.append(mmap.mmap(-1, 20_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        kept[-1].write(b"x" * 20_000_000)
    elif what == "heap":
        libc = ctypes.CDLL(None)
        libc.malloc.restype = ctypes.c_void_p
        for _ in range(5000):
            kept.append(ctypes.memset(libc.malloc(ctypes.c_size_t(2000)), 1, 2000))
    elif what == "files":
        kept += [open("/dev/null") for _ in range(30)]
    elif what == "threads":
        for _ in range(5):
            threading.Thread(target=threading.Event().wait, daemon=True).start()
    print("done", flush=True)
"""


def order(popen: subprocess.Popen[str], what: str) -> None:
    assert popen.stdin is not None and popen.stdout is not None
    popen.stdin.write(f"{what}\n")
    popen.stdin.flush()
    assert popen.stdout.readline() == "done\n"


def test_growth_shows_in_the_right_figure() -> None:
    with child(GROWS) as popen:
        reader = ProcessReader(popen.pid, maps=True)
        before = reader.read()
        assert before.heap_bytes is not None and before.mmap_bytes is not None and before.pss_bytes is not None
        assert 0 < before.pss_bytes <= before.rss_bytes and before.threads == 1
        order(popen, "mmap")
        mapped = reader.read()
        assert mapped.rss_bytes - before.rss_bytes == pytest.approx(20e6, rel=0.1)
        assert mapped.mmap_bytes is not None and mapped.mmap_bytes - before.mmap_bytes == pytest.approx(20e6, rel=0.1)
        assert mapped.private_dirty_bytes is not None and before.private_dirty_bytes is not None
        assert mapped.private_dirty_bytes - before.private_dirty_bytes == pytest.approx(20e6, rel=0.1)
        order(popen, "heap")
        heaped = reader.read()
        assert heaped.heap_bytes is not None and heaped.heap_bytes - before.heap_bytes > 9e6
        order(popen, "files")
        order(popen, "threads")
        after = reader.read()
        assert after.open_files is not None and before.open_files is not None
        assert after.open_files - before.open_files == 30 and after.threads == 6


def test_children_are_added_up() -> None:
    code = "import subprocess\nprint(subprocess.Popen(['sleep', '60']).pid, flush=True)\ninput()"
    with child(code) as popen:
        (sleeping,) = until(lambda: descendants(popen.pid))
        alone, both = ProcessReader(popen.pid).read(), ProcessReader(popen.pid, children=True).read()
        assert (alone.processes, both.processes) == (1, 2)
        assert both.rss_bytes > alone.rss_bytes and both.threads == alone.threads + 1
        os.kill(sleeping, 9)


def test_an_ended_process_is_noticed_before_and_after_it_is_reaped() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as popen:
        until(lambda: ProcessReader(popen.pid).command.endswith("input()"))  # until then it is a copy of this process
        reader = ProcessReader(popen.pid)
        assert reader.read().rss_bytes > 0
        popen.kill()
        until(lambda: process._stat(popen.pid)[0] == b"Z")
        with pytest.raises(NoReading, match="has ended"):
            reader.read()
        popen.wait()
        with pytest.raises(NoReading, match=f"no process has the pid {popen.pid}"):
            reader.read()


def test_a_reused_pid_is_noticed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = ProcessReader(os.getpid())
    monkeypatch.setattr(process, "started_s", lambda pid: started_s(pid) + 7)
    with pytest.raises(Restarted, match="another one has its pid"):
        reader.read()
    assert reader.read().rss_bytes > 0


def test_a_permission_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = ProcessReader(os.getpid())

    def refuse(path: str) -> list[str]:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("os.listdir", refuse)
    with pytest.raises(NoReading, match="run as the user of that process, as root, or with CAP_SYS_PTRACE"):
        reader.read()


def test_the_rss_is_read_on_a_kernel_without_rollups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pid = os.getpid()
    (tmp_path / "self").mkdir()
    (tmp_path / str(pid) / "fd").mkdir(parents=True)
    for name in ("stat", "statm"):
        (tmp_path / str(pid) / name).write_bytes(Path(f"/proc/{pid}/{name}").read_bytes())
    monkeypatch.setattr(process, "PROC", str(tmp_path))
    reading = ProcessReader(pid).read()
    assert reading.rss_bytes > 1_000_000 and reading.pss_bytes is None and reading.open_files == 0
    with pytest.raises(NoReading, match="no process has the pid 4000000"):
        ProcessReader(4_000_000)


def test_a_missing_proc_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process, "PROC", str(tmp_path))
    with pytest.raises(NoReading, match="on Linux only"):
        ProcessReader(os.getpid())


def test_maps_that_are_too_long_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "MAPS_BYTES_MAX", 1000)
    reading = ProcessReader(os.getpid(), maps=True).read()
    assert reading.heap_bytes is None and reading.mmap_bytes is None and reading.rss_bytes > 0
