"""Reads lua/: the source of each script with what it includes, its SHA-1, and the keys that every script gets.

A line `--- @include "_nodes"` stands for lua/_nodes.lua; the result runs alone, by EVALSHA, on any store.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from scheduler.errors import ConfigError

FAMILIES = ("leases", "about", "held", "holds", "due", "free")
"""The six keys of a partition, in the order of KEYS."""

_INCLUDE = re.compile(r'^--- @include "(\w+)"$', re.MULTILINE)


class ScriptSource(NamedTuple):
    """A script that can be loaded: its whole Lua text and the SHA-1 (hex) by which EVALSHA calls it."""

    text: str
    sha1: str


def partition_keys(partition: int = 0) -> list[str]:
    """Return the six KEYS of a partition; they share one hash tag, so a script stays in one slot of a cluster."""
    return [f"vp:{{{partition}}}:{family}" for family in FAMILIES]


@cache
def load_sources() -> dict[str, ScriptSource]:
    """Return all scripts by name, read once. Raises ConfigError when lua/ isn't there."""
    folder = _lua_folder()
    sources = {}
    for path in sorted(folder.glob("*.lua")):
        if not path.name.startswith("_"):
            text = resolve_includes(path.read_text(encoding="utf-8"), folder)
            sources[path.stem] = source_of(text)
    return sources


def source_of(text: str) -> ScriptSource:
    """Return `text` with its SHA-1."""
    return ScriptSource(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def resolve_includes(text: str, folder: Path) -> str:
    """Put the files of `folder` in the place of the include lines of `text`. They include nothing themselves."""
    return _INCLUDE.sub(lambda line: (folder / f"{line[1]}.lua").read_text(encoding="utf-8").rstrip(), text)


def _lua_folder() -> Path:
    package = Path(__file__).resolve().parent
    for folder in (package / "lua", package.parent / "lua"):  # in the wheel; in the source tree
        if (folder / "select_node.lua").is_file():
            return folder
    raise ConfigError(f"the Lua scripts are missing beside {package}; install voxpool again")
