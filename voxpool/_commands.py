"""The console scripts. A missing package is one line with the extra that brings it, and exit code 3."""

from __future__ import annotations

import sys
from importlib import import_module

from voxpool._extras import MissingPackage, needs

EXIT_WRONG_INPUT = 3


def scheduler() -> None:
    """Run `voxpool`."""
    _run("voxpool", "voxpool.scheduler.cli", "server")


def sim() -> None:
    """Run `voxpool-sim`."""
    _run("voxpool-sim", "voxpool.sim.cli.root", "sim")


def load() -> None:
    """Run `voxpool-load`."""
    _run("voxpool-load", "voxpool.loadtest.commands._cli", "load")


def leakgate() -> None:
    """Run `leakgate`."""
    _run("leakgate", "voxpool.leakgate.cli.root", "leakgate")


def _run(name: str, module: str, extra: str) -> None:
    try:
        with needs(extra):
            import_module(module).main()
    except MissingPackage as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(EXIT_WRONG_INPUT)
