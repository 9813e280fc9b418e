"""Reads files that people or programs name: bounded in size and, for TOML and JSON, in depth.

Everything wrong with a file becomes one ConfigError that names it. A path may lead to a device or a pipe, so the size
is what was read and not what the system reports.
"""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.sentences import wrong

S = TypeVar("S")

BYTES_MAX = 16 * 1024**2
"""A settings file has 10 KB, a scenario 100 KB at most, a kept run with values of its own 10 MB."""
LEVELS_MAX = 32
"""Tables and lists inside each other; a scenario has 5. Far below what makes Python's recursion end."""


def read_small(file: Path, bytes_max: int = BYTES_MAX, *, regular: bool = False) -> bytes:
    """Return what is in `file`, at most `bytes_max` bytes; with `regular` no device and no pipe. Raises ConfigError."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | (os.O_NONBLOCK if regular else 0))
        with open(descriptor, "rb") as opened:
            if regular and not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ConfigError(f"{file}: is not a regular file")
            content = opened.read(bytes_max + 1)
    except OSError as error:
        raise ConfigError(f"{file}: can't be read: {error.strerror}") from None
    if len(content) > bytes_max:
        raise ConfigError(f"{file}: has more than {bytes_max} bytes, so this is another kind of file")
    return content


def read_toml(file: Path) -> dict[str, Any]:
    """Return the tables of `file`. Raises ConfigError."""
    return parse_toml(read_small(file), str(file))


def parse_toml(content: bytes, place: str) -> dict[str, Any]:
    """Return the tables in `content` of `place`. Raises ConfigError."""
    try:
        tables = tomllib.loads(content.decode())
    except UnicodeDecodeError:
        raise ConfigError(f"{place}: is not text in UTF-8") from None
    except RecursionError:
        raise _too_deep(place) from None
    except ValueError as error:  # TOMLDecodeError, and what int() raises for too many digits
        raise ConfigError(f"{place}: is not TOML: {error}") from None
    _check_depth(tables, place)
    return tables


def read_json(file: Path, kind: type[S]) -> S:
    """Return the JSON in `file` as a `kind`. Raises ConfigError."""
    content = read_small(file)
    try:
        _check_depth(msgspec.json.decode(content), str(file))
        return msgspec.json.decode(content, type=kind)
    except RecursionError:
        raise _too_deep(str(file)) from None
    except msgspec.ValidationError as error:
        raise ConfigError(f"{file}: {wrong(error).sentence}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: is not JSON: {error}") from None


def _check_depth(value: Any, place: str) -> None:
    level = [value]
    for _ in range(LEVELS_MAX):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise _too_deep(place)


def _too_deep(place: str) -> ConfigError:
    return ConfigError(f"{place}: is nested too deeply: {LEVELS_MAX} levels are allowed")
