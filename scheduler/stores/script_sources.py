"""Reads lua/ and lua/jobs/: the source of each script with what it includes, its SHA-1, and the keys that it gets.

Each folder is a data model of its own: its scripts all get the same keys, those of one partition.

The lines `--- @include "_nodes"` of a script name the files that come before it: functions and constants without any
state of their own. Both together are one text that runs alone, by EVALSHA.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from voxpool.scheduler.errors import ConfigError

SORTED_SET, HASH, LIST, NOTHING = "sorted set", "hash", "list", "nothing"
"""What a key holds."""


class Layout(NamedTuple):
    """A data model: its folder of scripts, and the keys of a partition in the order of KEYS."""

    folder: str
    prefix: str
    kinds: dict[str, str]
    """Family -> what its key holds."""

    def keys(self, partition: int = 0) -> list[str]:
        """Return the KEYS of a partition; they share one hash tag, so a script stays in one slot of a cluster."""
        return [f"{self.prefix}{{{partition}}}:{family}" for family in self.kinds]


NODES = Layout(
    "",
    "vp:",
    {
        "leases": SORTED_SET,
        "nodes": HASH,
        "held": SORTED_SET,
        "reservations": HASH,
        "due": SORTED_SET,
        "capacity": SORTED_SET,
    },
)
JOBS = Layout(
    "jobs",
    "vp:jobs:",
    {
        "records": HASH,
        "waiting": SORTED_SET,
        "taken": SORTED_SET,
        "hungry": SORTED_SET,
        "due": SORTED_SET,
        "mail": SORTED_SET,
        "ended": LIST,
        "schedulers": SORTED_SET,
        "counts": HASH,
        "nodes": HASH,
        "enrolled": SORTED_SET,
        "flows": SORTED_SET,
        "turns": HASH,
        "listed": LIST,
        "hints": NOTHING,  # the prefix of channels
    },
)

_INCLUDE = re.compile(r'^--- @include "(\w+)"\n', re.MULTILINE)


class ScriptSource(NamedTuple):
    """A script that can be loaded: what it includes, which may be run once for many calls, and its own lines."""

    prelude: str
    body: str

    @property
    def text(self) -> str:
        """The whole Lua text."""
        return self.prelude + self.body

    @property
    def sha1(self) -> str:
        """The SHA-1 of the text in hex, by which EVALSHA calls it."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


@cache
def load_sources(folder: str = "") -> dict[str, ScriptSource]:
    """Return all scripts of a `folder` of lua/ by name, read once. Raises ConfigError when lua/ isn't there."""
    texts = read_texts(folder)
    return {name: assemble(name, texts) for name in texts if not name.startswith("_")}


def read_texts(folder: str = "") -> dict[str, str]:
    """Return the files of a `folder` of lua/: name without its ending -> text. Raises ConfigError without lua/."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted((_lua_folder() / folder).glob("*.lua"))}


def assemble(name: str, texts: Mapping[str, str]) -> ScriptSource:
    """Return the script `name` of `texts` (file name without its ending -> text) with what it includes."""
    prelude = "".join(texts[included] for included in _INCLUDE.findall(texts[name]))
    return ScriptSource(prelude, _INCLUDE.sub("", texts[name]))


def _lua_folder() -> Path:
    folder = Path(__file__).resolve().parents[2] / "lua"  # beside scheduler/, in the wheel as in the source tree
    if (folder / "select_node.lua").is_file():
        return folder
    raise ConfigError(f"the Lua scripts are missing: no {folder}; install voxpool again")
