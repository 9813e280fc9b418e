"""Reads the composition of this process's memory, fast enough for every second (about 1 ms).

`allocated` is memory requested and not freed: the blocks of CPython's allocator (`sys._debugmallocstats`) and those
of malloc (glibc's `mallinfo2`, without CPython's arenas, which are mapped separately). The rest (arenas, malloc's free
memory, the rest of the RSS) distinguishes a leak from fragmentation; see `Memory`.

An allocator that can't be read raises `Unreadable`; it never counts as "no growth".
"""

from __future__ import annotations

import ctypes
import gc
import os
import re
import sys
import threading
import weakref
from dataclasses import dataclass

from voxpool.leakgate.errors import Unreadable

_STDERR = threading.Lock()
"""File descriptor 2 belongs to the whole process: one reading at a time redirects it."""


@dataclass(frozen=True, slots=True)
class Memory:
    """One reading, all in bytes.

    `allocated` up: a leak of objects. `allocated` flat and `held` up: fragmentation, or memory kept for later. Both
    flat and `rss` up: a leak of native code that bypasses both allocators.
    """

    python: int
    """Bytes in allocated blocks of CPython's small-object allocator."""
    arenas: int
    """Bytes mapped by that allocator, used or not."""
    malloc: int
    """Bytes allocated by malloc (mallinfo2: uordblks + hblkhd)."""
    malloc_free: int
    """Free bytes kept by malloc (fordblks)."""
    rss: int
    """Bytes resident in RAM (/proc/self/statm)."""

    @property
    def allocated(self) -> int:
        """Bytes requested and not freed."""
        return self.python + self.malloc

    @property
    def held(self) -> int:
        """Bytes that both allocators have taken from the system."""
        return self.arenas + self.malloc + self.malloc_free


class AllocatedBytes:
    """Reads this process's memory.

    A reading redirects file descriptor 2 for a fraction of a millisecond, because CPython prints its figures there:
    nothing else should write to stderr in that time. `collect` runs the garbage collector first, so that garbage in
    cycles is not counted. Raises Unreadable at construction where memory can't be read.
    """

    def __init__(self, collect: bool = False) -> None:
        self._collect = collect
        self._mallinfo2 = _find_mallinfo2()
        self._file = os.memfd_create("mallocstats")
        weakref.finalize(self, os.close, self._file)
        self.read()

    def read(self) -> Memory:
        """Return a reading; raises Unreadable."""
        if self._collect:
            gc.collect()
        python, arenas = self._read_python()
        info = self._mallinfo2()
        return Memory(
            python=python,
            arenas=arenas,
            malloc=int(info.uordblks) + int(info.hblkhd),
            malloc_free=int(info.fordblks),
            rss=read_rss(),
        )

    def _read_python(self) -> tuple[int, int]:
        print_stats = getattr(sys, "_debugmallocstats", None)
        if print_stats is None:
            raise Unreadable("this Python has no sys._debugmallocstats: use CPython")
        with _STDERR:
            os.ftruncate(self._file, 0)
            os.lseek(self._file, 0, os.SEEK_SET)
            if sys.stderr is not None:  # a process without a terminal may have none
                sys.stderr.flush()
            saved = os.dup(2)
            try:
                os.dup2(self._file, 2)
                print_stats()
            finally:
                os.dup2(saved, 2)
                os.close(saved)
            text = os.pread(self._file, os.fstat(self._file).st_size, 0)
        return parse_mallocstats(text.decode("ascii", "replace"))


class _Mallinfo2(ctypes.Structure):
    """`struct mallinfo2` of glibc 2.33 and later (man 3 mallinfo2)."""

    _fields_ = (
        ("arena", ctypes.c_size_t),
        ("ordblks", ctypes.c_size_t),
        ("smblks", ctypes.c_size_t),
        ("hblks", ctypes.c_size_t),
        ("hblkhd", ctypes.c_size_t),
        ("usmblks", ctypes.c_size_t),
        ("fsmblks", ctypes.c_size_t),
        ("uordblks", ctypes.c_size_t),
        ("fordblks", ctypes.c_size_t),
        ("keepcost", ctypes.c_size_t),
    )


_BLOCKS = re.compile(r"^# bytes in allocated blocks\s*=\s*([\d,]+)$", re.MULTILINE)
_ARENAS = re.compile(r"^\d+ arenas \* \d+ bytes/arena\s*=\s*([\d,]+)$", re.MULTILINE)


def parse_mallocstats(text: str) -> tuple[int, int]:
    """Return (bytes in allocated blocks, bytes of arenas) from the text of sys._debugmallocstats; raises Unreadable."""
    blocks, arenas = _BLOCKS.search(text), _ARENAS.search(text)
    if blocks is None or arenas is None:
        raise Unreadable(
            "CPython's allocator does not say what it has given out: run without tracemalloc, without PYTHONMALLOC, "
            "and on a build with the GIL"
        )
    return int(blocks[1].replace(",", "")), int(arenas[1].replace(",", ""))


def read_rss() -> int:
    """Return the bytes of this process that are in RAM; raises Unreadable where /proc does not have it."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError) as error:
        raise Unreadable(f"/proc/self/statm can't be read ({error}): the RSS is known on Linux only") from error


def _find_mallinfo2() -> ctypes._NamedFuncPointer:
    try:
        function = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError) as error:
        raise Unreadable("malloc does not say what it has given out: glibc 2.33 or later is needed") from error
    function.restype = _Mallinfo2
    function.argtypes = ()
    return function
