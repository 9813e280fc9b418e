"""A policy in a file: a Lua function `choose` that takes the place of production's (lua/_choice.lua), nothing else.

The file is put behind lua/_choice.lua, so that its `choose` is the one that lua/_select.lua calls and the functions of
_choice and _nodes are at hand. Everything around it is production: the queue, the scripts, the life of a job.
"""

from __future__ import annotations

from pathlib import Path

from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.stores.luajit import LuaError
from voxpool.scheduler.stores.memory import MemoryStore
from voxpool.scheduler.stores.script_sources import ScriptSource, assemble, read_texts
from voxpool.sim.world.variant import Variant

PREFIX = "script:"
ENDING = ".lua"
_PART = "_choice"
_MARK = "function choose("


def policy_of(path: str) -> str:
    """Return the name under which the policy in the file `path` is listed. Raises ConfigError when it can't be used."""
    try:
        MemoryStore(sources_of(path))
    except OSError as error:
        raise ConfigError(f"--script {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"--script {path}: not a text in UTF-8") from None
    except LuaError as error:
        raise ConfigError(f"--script {path}: {error}") from None
    return PREFIX + path


def is_script(policy: str) -> bool:
    """True when `policy` stands for a file."""
    return policy.startswith(PREFIX)


def label_of_script(policy: str) -> str:
    """Return the name of its file without folder and ending."""
    return Path(policy.removeprefix(PREFIX)).stem


def variant_of_script(policy: str) -> Variant:
    """Return production with the choice of that file; it runs in the memory store."""
    return Variant(label_of_script(policy), scripts=sources_of(policy.removeprefix(PREFIX)))


def sources_of(path: str) -> dict[str, ScriptSource]:
    """Return the scripts of lua/ with the `choose` of the file `path`. Raises OSError, and ConfigError without one."""
    text = Path(path).read_text(encoding="utf-8")
    if _MARK not in text:
        raise ConfigError(f"--script {path}: it has no `local {_MARK}pair, prefer, avoided, chance, looked)`")
    texts = dict(read_texts())
    texts[_PART] += "\n" + text
    return {name: assemble(name, texts) for name in texts if not name.startswith("_")}
