"""The files of a source tree and the names in its Python code; the rules use nothing else."""

from __future__ import annotations

import ast
import functools
import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_NOT_SOURCE = {".git", "__pycache__", "build", "dist", "out", "node_modules"}
_TEXT_BYTES_MAX = 1_000_000


class SourceTree:
    """The tree under `root`. Paths are relative to it, with slashes, sorted."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root

    def files(self, *folders: str, suffix: str = "") -> list[str]:
        """Return all files under `folders` (default: the whole tree), without caches and environments."""
        found = []
        for folder in folders or (".",):
            for where, below, names in os.walk(self.root / folder):
                below[:] = [name for name in below if name not in _NOT_SOURCE and not _is_cache(name)]
                found += [Path(where, name).relative_to(self.root).as_posix() for name in names]
        return sorted(name for name in found if name.endswith(suffix))

    def text(self, path: str) -> str | None:
        """Return the text of a file; None when it is binary or larger than a megabyte."""
        data = (self.root / path).read_bytes()
        if len(data) > _TEXT_BYTES_MAX or b"\0" in data:
            return None
        try:
            return data.decode()
        except UnicodeDecodeError:
            return None

    def python(self, path: str) -> ast.Module:
        return _parse((self.root / path).read_text(), path)


def _is_cache(name: str) -> bool:
    return name.startswith(".venv") or name.endswith(("_cache", ".egg-info")) or name == ".hypothesis"


@functools.cache  # each rule reads the whole tree
def _parse(text: str, path: str) -> ast.Module:
    return ast.parse(text, path)


def imported(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Return line and full name of each import, at the top of the file or inside a function."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def names_used(module: ast.Module) -> Iterator[tuple[int, str, ast.Call | None]]:
    """Return line, full name and call of each name of a module or builtin, with aliases resolved.

    `from time import time as t; t()` is time.time. The call is None where the name is only mentioned, as in
    `default_factory=time.time`. A parameter that has the name of a module is not that module.
    """
    origin = _names_bound_by_imports(module)
    calls = {id(node.func): node for node in ast.walk(module) if isinstance(node, ast.Call)}

    def visit(node: ast.AST, parameters: frozenset[str]) -> Iterator[tuple[int, str, ast.Call | None]]:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            parameters |= {argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)}
        if isinstance(node, (ast.Name, ast.Attribute)):
            root, *rest = _parts(node)
            if root and root not in parameters and (root in origin or not rest):
                yield node.lineno, ".".join([origin.get(root, root), *rest]), calls.get(id(node))
        for child in ast.iter_child_nodes(node):
            yield from visit(child, parameters)

    return visit(module, frozenset())


def _names_bound_by_imports(module: ast.Module) -> dict[str, str]:
    origin: dict[str, str] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name.split(".")[0]
                origin[bound] = alias.name if alias.asname else bound
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                origin[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return origin


def _parts(node: ast.expr) -> list[str]:
    """Return ["a", "b"] for the expression `a.b`; [""] when it does not start with a name, as in `f().b`."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else [""]
