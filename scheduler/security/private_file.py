"""Reads files with secrets: once, bounded, and only when no other user could have written or read them.

A group may read them: that is how systemd and Kubernetes hand secrets to a service that isn't root.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voxpool.scheduler.errors import ConfigError

FORBIDDEN_MODE = stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH
MODE = 0o600
"""The mode of a file that voxpool makes."""


@contextmanager
def open_private(file: Path, flags: int, bytes_max: int) -> Iterator[int]:
    """Yield a descriptor of `file`, opened with `flags`.

    Raises ConfigError, which names the file and the remedy, unless it is a small file that only its owner writes and
    no other user reads.
    """
    try:
        descriptor = os.open(file, flags | os.O_NONBLOCK | os.O_CLOEXEC, MODE)
    except OSError as error:
        raise ConfigError(f"{file}: can't be opened: {error.strerror}") from None
    try:
        about = os.fstat(descriptor)
        mode = stat.S_IMODE(about.st_mode)
        if not stat.S_ISREG(about.st_mode):
            raise ConfigError(f"{file}: is not a file")
        if about.st_size > bytes_max:
            raise ConfigError(f"{file}: {about.st_size} bytes are above {bytes_max}: this is another kind of file")
        if mode & FORBIDDEN_MODE:
            raise ConfigError(f"{file}: by its mode {mode:04o} others can read or change it; run chmod 600 {file}")
        yield descriptor
    finally:
        os.close(descriptor)


def read_private(file: Path, bytes_max: int) -> bytes:
    """Return what is in `file`. Raises ConfigError."""
    with open_private(file, os.O_RDONLY, bytes_max) as descriptor:
        return os.read(descriptor, bytes_max)
