"""Writes log lines to a file descriptor in a thread of its own, so that a slow reader never stops the loop.

The lines that wait are bounded in bytes. When they don't fit, the newest are dropped and counted, and the count is
written as a line of its own in their place, once the reader is back.
"""

from __future__ import annotations

import os
import select
import stat
import threading
from collections import deque
from collections.abc import Callable

LINGER_S = 0.1
"""How long a line may wait for others to be written with it: a wake-up a line would cost more than the line."""
BATCH_BYTES = 64 * 1024
CHUNK_BYTES = select.PIPE_BUF
"""The bytes that a writable pipe takes without blocking."""
POLL_MS = 50
CLOSE_S = 1.0
"""How long `close` waits for a reader that reads nothing."""


class LogWriter:
    """Writes lines in order. `tell_dropped` makes the line with the number of missing ones.

    It works on a duplicate of `descriptor`: the original may be redirected (leakgate does so with stderr).
    """

    def __init__(self, descriptor: int, bytes_max: int, tell_dropped: Callable[[int], bytes]) -> None:
        self._descriptor = os.dup(descriptor)
        self._is_file = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        self._bytes_max = bytes_max
        self._tell_dropped = tell_dropped
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        """Size of the lines that wait and of those that are being written."""
        self._dropped = 0
        self._is_torn = False
        """Whether the last line was not written to its end."""
        self._polls_left = int(CLOSE_S * 1000 / POLL_MS)
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._is_awake = False
        """Whether the thread will look for lines: cheaper to ask than the event."""
        self._hurry_bytes = bytes_max // 2
        self._hurry = threading.Event()
        """Half of the buffer is full, or it stops: write at once."""
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Queue `line`, or drop it. Never waits; may be called in any thread."""
        with self._lock:
            size = self._bytes + len(line)
            if self._dropped or size > self._bytes_max:
                self._dropped += 1  # all that follow, too, until the count is written: the order stays true
                size = self._bytes_max
            else:
                self._lines.append(line)
                self._bytes = size
        if not self._is_awake:
            self._is_awake = True
            self._wake.set()
        if size > self._hurry_bytes and not self._hurry.is_set():
            self._hurry.set()

    def close(self) -> bool:
        """Write what waits, for `CLOSE_S` at most without a reader, and end the thread. Returns whether it ended."""
        self._is_stopping = True
        self._hurry.set()
        self._wake.set()
        self._thread.join(2 * CLOSE_S)
        if self._thread.is_alive():  # a write to a disk that hangs; the descriptor stays open for it
            return False
        os.close(self._descriptor)
        return True

    # ---- in the thread

    def _run(self) -> None:
        while not self._is_stopping:
            self._wake.wait()
            self._hurry.wait(LINGER_S)
            self._wake.clear()
            self._hurry.clear()
            self._is_awake = False  # before the lines are taken: each later one sets it again
            self._write_all()
        self._write_all()

    def _write_all(self) -> None:
        while batch := self._take():
            written = self._put(batch)
            with self._lock:
                self._bytes -= len(batch)
                if written < len(batch):
                    self._is_torn = not batch[:written].endswith(b"\n") and written > 0
                    self._dropped += batch[written:].count(b"\n")
                    return

    def _take(self) -> bytes:
        with self._lock:
            lines: list[bytes] = []
            size = 0
            if self._bytes <= BATCH_BYTES:
                lines.extend(self._lines)
                self._lines.clear()
            while self._lines and size < BATCH_BYTES:
                lines.append(self._lines.popleft())
                size += len(lines[-1])
            if not lines and self._dropped:
                lines.append(self._tell_dropped(self._dropped))
                self._bytes += len(lines[0])
                self._dropped = 0
            return b"".join(lines)

    def _put(self, batch: bytes) -> int:
        """Write `batch` and return how much of it was taken: less after an error, or when there is no time left."""
        if self._is_torn and self._put_some(b"\n"):
            self._is_torn = False
        written = 0
        while written < len(batch):
            some = self._put_some(batch[written : written + (BATCH_BYTES if self._is_file else CHUNK_BYTES)])
            if not some:
                break
            written += some
        return written

    def _put_some(self, chunk: bytes) -> int:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        while True:
            while not poll.poll(POLL_MS):
                if self._is_stopping:
                    self._polls_left -= 1
                    if self._polls_left <= 0:
                        return 0
            try:
                return os.write(self._descriptor, chunk)
            except BlockingIOError:  # another process made it non-blocking, and was quicker
                continue
            except OSError:  # the reader has gone, or the disk is full: the lines are counted as dropped
                return 0
