"""Plants a mutant in a running process: its function gets the changed code, without another import."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import types
from pathlib import Path
from typing import Any

from mutation.mutant import Mutant

PACKAGE = "voxpool"


class NotSwappable(Exception):
    """The change is not in the code or the defaults of one function."""


def swap(mutant: Mutant, healthy: str) -> None:
    """Give the changed function of the imported module the code and the defaults of `mutant`. Raises NotSwappable.

    `healthy` is the original text of the file.
    """
    name = f"{PACKAGE}.{mutant.path.removesuffix('.py').replace('/', '.')}"
    module = importlib.import_module(name)
    changed = types.ModuleType(name)
    changed.__dict__.update({key: value for key, value in vars(module).items() if key.startswith("__")})
    code = compile(mutant.source, str(Path(module.__file__ or "")), "exec", dont_inherit=True)
    try:
        exec(code, changed.__dict__)
    except Exception as error:
        raise NotSwappable(f"it can't be imported: {error!r}") from None
    path = function_at(healthy, mutant.line)
    old, new = _function(module, path), _function(changed, path)
    try:
        old.__code__ = new.__code__
    except ValueError as error:
        raise NotSwappable(str(error)) from None
    old.__defaults__, old.__kwdefaults__ = new.__defaults__, new.__kwdefaults__


def function_at(source: str, line: int) -> list[str]:
    """Return the names of the classes and of the outermost function around `line`. Raises NotSwappable."""
    path: list[str] = []
    body: list[ast.stmt] = ast.parse(source).body
    while True:
        around = next((node for node in body if node.lineno <= line <= (node.end_lineno or 0)), None)
        if isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef):
            return [*path, around.name]
        if not isinstance(around, ast.ClassDef):
            raise NotSwappable(f"line {line} is in no function")
        path.append(around.name)
        body = around.body


def _function(module: types.ModuleType, path: list[str]) -> types.FunctionType:
    """Return the plain function behind its decorators."""
    found: Any = module
    for name in path:
        found = vars(found)[name]
    while not isinstance(found, types.FunctionType):
        if isinstance(found, classmethod | staticmethod):
            found = found.__func__
        elif isinstance(found, property):
            found = found.fget
        elif isinstance(found, functools.cached_property):
            found = found.func
        elif hasattr(found, "__wrapped__"):
            found = found.__wrapped__
        else:
            raise NotSwappable(f"{'.'.join(path)} is a {type(found).__name__}")
    unwrapped = inspect.unwrap(found)
    if not isinstance(unwrapped, types.FunctionType):
        raise NotSwappable(f"{'.'.join(path)} is wrapped")
    return unwrapped
