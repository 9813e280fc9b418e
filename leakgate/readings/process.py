"""Reads a process from outside by its pid, without changes to it. Linux only (/proc).

A pid can be reused after the end of a process: the start time shows whether it is still the same process.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from voxpool.leakgate.errors import Ended, NoReading, Restarted

PROC = "/proc"
MAPS_BYTES_MAX = 16 * 1024 * 1024
"""Maximum size of smaps: about 20,000 mappings, for which the kernel needs a second."""
PROCESSES_MAX = 256
"""Maximum number of processes that are summed."""
_ENDED = (b"Z", b"X")
"""States of a process without memory."""
_FIELD = re.compile(rb"^(\w+):\s+(\d+) kB$", re.MULTILINE)
_MAPPING = re.compile(rb"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ (\d+) *(.*)$")


class ProcessReading(msgspec.Struct, frozen=True, kw_only=True):
    """A reading of a process, or the sum over a process and all its descendants. Sizes are bytes; None = not read."""

    rss_bytes: int
    """Bytes in RAM. For several processes shared pages count for each."""
    pss_bytes: int | None = None
    """Bytes in RAM with shared pages divided by the number of processes: the figure to sum over processes."""
    private_dirty_bytes: int | None = None
    """Bytes written by this process only, which would be freed at its end."""
    anonymous_bytes: int | None = None
    """Bytes not backed by a file."""
    heap_bytes: int | None = None
    """Bytes in RAM of malloc's heap (brk)."""
    mmap_bytes: int | None = None
    """Bytes in RAM of anonymous mappings: arenas, large blocks, stacks of threads."""
    open_files: int | None = None
    threads: int
    processes: int = 1
    """Number of processes that were read."""
    started_s: float
    """Start of the process in seconds since boot."""


class ProcessReader:
    """Reads the process `pid`; with `children` its descendants too; with `maps` heap and mmap separately, which takes
    the kernel some milliseconds for a process with many mappings. Raises NoReading when there is no such process.
    """

    def __init__(self, pid: int, children: bool = False, maps: bool = False) -> None:
        self.pid = pid
        self._children = children
        self._maps = maps
        self._started_s = started_s(pid)

    @property
    def command(self) -> str:
        """The command line; "" when it has none."""
        return _read(self.pid, "cmdline").replace(b"\0", b" ").decode("utf-8", "replace").strip()[:200]

    def read(self) -> ProcessReading:
        """Return a reading. Raises Ended when the process has ended, NoReading when it can't be read, and Restarted
        once when another process has its pid.
        """
        if _stat(self.pid)[0] in _ENDED:
            raise Ended(f"the process {self.pid} has ended; its parent has not taken notice yet")
        now_s = started_s(self.pid)
        if now_s != self._started_s:
            self._started_s = now_s
            raise Restarted(f"the process {self.pid} has ended and another one has its pid now")
        readings = [self._read_one(self.pid)]
        if self._children:
            for pid in descendants(self.pid):
                try:
                    readings.append(self._read_one(pid))
                except NoReading:
                    continue  # it ended meanwhile
        return _sum(readings, self._started_s)

    def _read_one(self, pid: int) -> ProcessReading:
        rollup = _rollup(pid)
        heap, mmap = _heap_and_mmap(pid) if self._maps else (None, None)
        return ProcessReading(
            rss_bytes=int(_read(pid, "statm").split()[1]) * os.sysconf("SC_PAGE_SIZE"),
            pss_bytes=rollup.get("Pss"),
            private_dirty_bytes=rollup.get("Private_Dirty"),
            anonymous_bytes=rollup.get("Anonymous"),
            heap_bytes=heap,
            mmap_bytes=mmap,
            open_files=_open_files(pid),
            threads=int(_stat(pid)[17]),
            started_s=self._started_s,
        )


def started_s(pid: int) -> float:
    """Return the start of `pid` in seconds since boot. Raises NoReading when there is no such process."""
    return int(_stat(pid)[19]) / os.sysconf("SC_CLK_TCK")


def descendants(pid: int) -> list[int]:
    """Return the pids of the children of `pid`, of their children and so on, at most PROCESSES_MAX."""
    children: dict[int, list[int]] = {}
    for name in os.listdir(PROC):
        if name.isdigit():
            try:
                children.setdefault(int(_stat(int(name))[1]), []).append(int(name))
            except NoReading:
                continue  # it ended meanwhile
    found: list[int] = []
    todo = [pid]
    while todo and len(found) < PROCESSES_MAX:
        of_one = children.get(todo.pop(), [])
        found += of_one
        todo += of_one
    return sorted(found[:PROCESSES_MAX])


def _stat(pid: int) -> list[bytes]:
    """Return the fields of /proc/PID/stat from the third on (state, parent, …); the second may contain spaces."""
    return _read(pid, "stat").rpartition(b")")[2].split()


def _rollup(pid: int) -> dict[str, int]:
    """Return the sums over all mappings; none on a kernel without them (Linux before 4.14, gVisor)."""
    if not os.path.exists(f"{PROC}/{pid}/smaps_rollup"):
        return {}
    return {name.decode(): int(kilobytes) * 1024 for name, kilobytes in _FIELD.findall(_read(pid, "smaps_rollup"))}


def _heap_and_mmap(pid: int) -> tuple[int | None, int | None]:
    heap = mmap = read = 0
    kind = ""
    for line in _lines(pid, "smaps"):
        read += len(line)
        if read > MAPS_BYTES_MAX:
            return None, None
        if mapping := _MAPPING.match(line):
            inode, name = mapping[1], mapping[2].strip()
            is_anonymous = inode == b"0" and (not name or name.startswith((b"[anon", b"[stack")))
            kind = "heap" if name == b"[heap]" else "mmap" if is_anonymous else ""
        elif line.startswith(b"Rss:"):
            size = int(line.split()[1]) * 1024
            heap += size * (kind == "heap")
            mmap += size * (kind == "mmap")
    return heap, mmap


def _open_files(pid: int) -> int | None:
    try:
        return len(os.listdir(f"{PROC}/{pid}/fd"))
    except OSError as error:
        raise _no_reading(pid, "fd", error) from error


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"{PROC}/{pid}/{name}").read_bytes()
    except OSError as error:
        raise _no_reading(pid, name, error) from error


def _lines(pid: int, name: str) -> Iterator[bytes]:
    try:
        with open(f"{PROC}/{pid}/{name}", "rb") as file:
            yield from (line.rstrip(b"\n") for line in file)
    except OSError as error:
        raise _no_reading(pid, name, error) from error


def _no_reading(pid: int, name: str, error: OSError) -> NoReading:
    if isinstance(error, FileNotFoundError | ProcessLookupError | NotADirectoryError):
        if os.path.isdir(f"{PROC}/{pid}"):
            return NoReading(f"{PROC}/{pid}/{name} does not exist: the process is ending, or the kernel lacks it")
        if not os.path.isdir(f"{PROC}/self"):
            return NoReading(f"there is no {PROC}: a process can be read by its pid on Linux only")
        return Ended(f"no process has the pid {pid}: it has ended, or lives in another container")
    if isinstance(error, PermissionError):
        return NoReading(
            f"{PROC}/{pid}/{name} may not be read: run as the user of that process, as root, or with CAP_SYS_PTRACE "
            "(in a container: --cap-add SYS_PTRACE)"
        )
    return NoReading(f"{PROC}/{pid}/{name} can't be read: {error.strerror or error}")


def _sum(readings: list[ProcessReading], began_s: float) -> ProcessReading:
    def total(name: str) -> int | None:
        values = [getattr(reading, name) for reading in readings]
        return None if None in values else sum(values)

    sizes = ("pss_bytes", "private_dirty_bytes", "anonymous_bytes", "heap_bytes", "mmap_bytes", "open_files")
    return ProcessReading(
        rss_bytes=sum(reading.rss_bytes for reading in readings),
        threads=sum(reading.threads for reading in readings),
        processes=len(readings),
        started_s=began_s,
        **{name: total(name) for name in sizes},
    )
