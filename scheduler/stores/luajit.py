"""LuaJIT, loaded so that it stays LuaJIT.

fakeredis loads another Lua with global symbols; a LuaJIT that is loaded after it would be bound to those and silently
be that other Lua. So ours is bound to its own symbols first, where the platform can do that.
"""

from __future__ import annotations

import os
import sys
from typing import Any


def _load() -> Any:
    flags = sys.getdlopenflags()
    sys.setdlopenflags(os.RTLD_NOW | getattr(os, "RTLD_DEEPBIND", 0))
    try:
        from lupa import luajit21
    finally:
        sys.setdlopenflags(flags)
    return luajit21


_luajit: Any = _load()
LuaError: type[Exception] = _luajit.LuaError


def new_runtime() -> Any:
    """Return a LuaRuntime without access to Python. Raises ImportError when it isn't LuaJIT after all."""
    runtime = _luajit.LuaRuntime(unpack_returned_tuples=True, register_eval=False, register_builtins=False)
    if not runtime.lua_implementation.startswith("LuaJIT"):
        raise ImportError("another Lua was loaded before LuaJIT: import voxpool.scheduler.stores.memory before it")
    return runtime
