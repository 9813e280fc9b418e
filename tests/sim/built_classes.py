"""Records every class of scheduler/ that a program instantiates: `python -m tests.sim.built_classes FILE MODULE
WORDS…`.

It runs MODULE with WORDS as its command line and writes the names to FILE, one a line. Errors, enumerations and the
records of messages are left out: they are created at many places and are no parts of a program.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import pkgutil
import runpy
import sys
from pathlib import Path
from typing import Any

import msgspec

BUILT: set[str] = set()
LEFT_OUT = ("voxpool.scheduler.protocol.messages", "voxpool.scheduler.errors", "voxpool.scheduler.protocol.codec")


class _NotingMeta(msgspec.StructMeta):
    """Records are created by msgspec's metaclass, without __init__ and __new__."""

    def __call__(cls, *args: Any, **options: Any) -> Any:
        _note(cls)
        return super().__call__(*args, **options)


class _NotedStruct(msgspec.Struct, metaclass=_NotingMeta):
    """Takes the place of msgspec.Struct."""


def install() -> None:
    """Make all classes of scheduler/ record their instantiation. Must be called before scheduler is imported."""
    assert "voxpool.scheduler" not in sys.modules
    msgspec.Struct = _NotedStruct  # type: ignore[misc]
    package = importlib.import_module("voxpool.scheduler")
    for module in pkgutil.walk_packages(package.__path__, "voxpool.scheduler."):
        if module.name.rsplit(".", 1)[-1] not in ("__main__", "guard", "pocketsphinx"):
            importlib.import_module(module.name)
    for name, module_ in list(sys.modules.items()):
        if name.startswith("voxpool.scheduler"):
            for _, cls in inspect.getmembers(module_, inspect.isclass):
                if cls.__module__ == name and not issubclass(cls, BaseException | enum.Enum | msgspec.Struct):
                    _patch(cls)
    BUILT.clear()  # instances created at the import of a module say nothing about the program


def _patch(cls: type) -> None:
    own: Any = cls.__new__

    def noting(made: type, *args: Any, **options: Any) -> Any:
        _note(made)
        return own(made) if own is object.__new__ else own(made, *args, **options)

    if "__new__" in cls.__dict__ or own is object.__new__:
        cls.__new__ = staticmethod(noting)  # type: ignore[assignment]


def _note(cls: type) -> None:
    if cls.__module__.startswith("voxpool.scheduler.") and not cls.__module__.startswith(LEFT_OUT):
        BUILT.add(f"{cls.__module__.removeprefix('voxpool.scheduler.')}.{cls.__qualname__}")


if __name__ == "__main__":
    file, module, *words = sys.argv[1:]
    install()
    sys.argv = [module, *words]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=False)
    finally:
        Path(file).write_text("".join(f"{name}\n" for name in sorted(BUILT)))
