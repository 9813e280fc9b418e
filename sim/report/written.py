"""Writes the files of a run atomically, and never through a symbolic link.

The folder of a kept run may come from another user. A file in it that is a symbolic link is replaced; the target of
the link stays unchanged.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
MODE = 0o666
"""The mode of new files, before the umask is applied."""


@contextmanager
def replaced(path: Path) -> Iterator[TextIO]:
    """Yield a file that replaces `path` when the block ends; nothing changes on an error."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    beside.unlink(missing_ok=True)  # left by a process that died; unlink removes a link, not its target
    try:
        with open(os.open(beside, _NEW, MODE), "w", encoding="utf-8") as file:
            yield file
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> Path:
    """Write `text` to `path`, and return it."""
    with replaced(path) as file:
        file.write(text)
    return path


def write_bytes(path: Path, content: bytes) -> Path:
    """Write `content` to `path`, and return it."""
    with replaced(path) as file:
        file.buffer.write(content)
    return path
