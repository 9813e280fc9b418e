"""The writer of log lines on real pipes and files: it never blocks; it drops and reports lines that do not fit."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import wait_until
from voxpool.scheduler.telemetry.logs.writer import LogWriter

LINE = b"%06d " + b"x" * 92 + b"\n"


def reported(lines: int) -> bytes:
    return b"dropped %d\n" % lines


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Yield read end and write end."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def read(descriptor: int, until: bytes) -> list[bytes]:
    """Read until the last line begins with `until`."""
    text = b""
    while not text.rpartition(b"\n")[0].rpartition(b"\n")[2].startswith(until):
        text += os.read(descriptor, 65536)
    return text.splitlines()


def fill(descriptor: int) -> int:
    """Write one line that fills the pipe; return its length without the line break."""
    size: int = fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ)
    assert os.write(descriptor, b"-" * (size - 1) + b"\n") == size
    return size - 1


def test_lines_are_written_in_order(pipe: tuple[int, int]) -> None:
    writer = LogWriter(pipe[1], 10**6, reported)
    for number in range(5000):
        writer.write(LINE % number)
    assert [int(line[:6]) for line in read(pipe[0], b"004999")] == list(range(5000))
    assert writer.close()


def test_lines_that_do_not_fit_are_dropped_and_reported_in_their_place(pipe: tuple[int, int]) -> None:
    filled = fill(pipe[1])  # otherwise the thread may empty the buffer while the lines are written
    writer = LogWriter(pipe[1], 20_000, reported)
    for number in range(5000):
        writer.write(LINE % number)
    before, *lines = read(pipe[0], b"dropped")
    assert before == b"-" * filled
    assert [int(line[:6]) for line in lines[:-1]] == list(range(200)), "those that 20,000 bytes have room for"
    assert lines[-1] == b"dropped 4800"
    writer.write(LINE % 5000)
    assert read(pipe[0], b"005000") == [(LINE % 5000).rstrip()]
    assert writer.close()


def test_close_writes_waiting_lines_and_leaves_no_thread(pipe: tuple[int, int]) -> None:
    writer = LogWriter(pipe[1], 10**6, reported)
    for number in range(300):
        writer.write(LINE % number)
    assert writer.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "log writer"]
    assert len(read(pipe[0], b"000299")) == 300


def test_close_does_not_wait_for_a_reader_that_never_comes(pipe: tuple[int, int]) -> None:
    writer = LogWriter(pipe[1], 10**6, reported)
    for number in range(5000):
        writer.write(LINE % number)
    assert writer.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "log writer"]


def test_a_closed_pipe_costs_lines_only() -> None:
    reader, end = os.pipe()
    writer = LogWriter(end, 10**6, reported)
    os.close(reader)
    for number in range(100):
        writer.write(LINE % number)
    wait_until(lambda: writer._dropped)
    writer.write(b"more\n")
    assert writer.close()
    os.close(end)


def test_a_full_disk_costs_lines_that_are_counted_when_there_is_room_again(tmp_path: Path) -> None:
    """/dev/full stands for a full disk; then the same descriptor number is a good file."""
    full = os.open("/dev/full", os.O_WRONLY)
    writer = LogWriter(full, 10**6, reported)
    for number in range(10):
        writer.write(LINE % number)
    wait_until(lambda: writer._dropped == 10)
    good = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    os.dup2(good, writer._descriptor)
    writer.write(b"after\n")
    wait_until(lambda: (tmp_path / "log").read_bytes())
    writer.write(b"and on\n")
    assert writer.close()
    assert (tmp_path / "log").read_bytes() == b"dropped 11\nand on\n"
    os.close(full)
    os.close(good)


def test_a_redirected_descriptor_loses_nothing(tmp_path: Path) -> None:
    """The reader of the allocators redirects stderr for a moment; the writer has its own descriptor."""
    log = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    writer = LogWriter(log, 10**6, reported)
    elsewhere = os.open(tmp_path / "elsewhere", os.O_WRONLY | os.O_CREAT)
    os.dup2(elsewhere, log)
    writer.write(b"a line\n")
    assert writer.close()
    assert (tmp_path / "log").read_bytes() == b"a line\n" and (tmp_path / "elsewhere").read_bytes() == b""
    os.close(log)
    os.close(elsewhere)
