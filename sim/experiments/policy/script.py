"""A policy in a file: a Lua function `choose` that replaces production's (lua/_choice.lua).

The file is appended to lua/_choice.lua, so that lua/_select.lua calls its `choose`, which can use the functions of
_choice and _nodes. The rest is production: the queue, the scripts, the life of a job.
"""

from __future__ import annotations

from pathlib import Path

from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.stores.luajit import LuaError
from voxpool.scheduler.stores.memory import MemoryStore
from voxpool.scheduler.stores.script_sources import ScriptSource, assemble, read_texts
from voxpool.sim.world.variant import Variant

PREFIX = "script:"
_PART = "_choice"
_MARK = "function choose("


def policy_of(path: str) -> str:
    """Return the name of the policy in the file `path`. Raises ConfigError when it can't be used."""
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
    """True when `policy` is a file."""
    return policy.startswith(PREFIX)


def label_of_script(policy: str) -> str:
    """Return the file name without folder and suffix."""
    return Path(policy.removeprefix(PREFIX)).stem


def variant_of_script(policy: str) -> Variant:
    """Return production with the `choose` of the file; it runs in the memory store."""
    return Variant(label_of_script(policy), scripts=sources_of(policy.removeprefix(PREFIX)))


def sources_of(path: str) -> dict[str, ScriptSource]:
    """Return the scripts of lua/ with the `choose` of the file `path`. Raises OSError, and ConfigError without one."""
    text = Path(path).read_text(encoding="utf-8")
    if _MARK not in text:
        raise ConfigError(f"--script {path}: it has no `local {_MARK}pair, prefer, avoided, chance, looked)`")
    texts = dict(read_texts())
    texts[_PART] += "\n" + text
    return {name: assemble(name, texts) for name in texts if not name.startswith("_")}
