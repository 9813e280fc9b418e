"""The three commands. A package that is not installed is said in one line, with the extra that brings it."""

from __future__ import annotations

import importlib
import sys

EXIT_WRONG_INPUT = 3
_OWN_EXTRA = {"numpy": "measure", "webrtcvad": "measure", "pocketsphinx": "speech", "opentelemetry": "traces"}
"""What a scheduler or node may go without."""


def scheduler() -> None:
    """Run `voxpool`."""
    _run("voxpool", "voxpool.scheduler.cli", "server", _OWN_EXTRA)


def sim() -> None:
    """Run `voxpool-sim`."""
    _run("voxpool-sim", "voxpool.sim.cli.root", "sim", {})


def load() -> None:
    """Run `voxpool-load`."""
    _run("voxpool-load", "voxpool.loadtest.commands._cli", "load", {})


def _run(name: str, module: str, extra: str, others: dict[str, str]) -> None:
    try:
        importlib.import_module(module).main()
    except ModuleNotFoundError as error:
        missing = (error.name or "voxpool").split(".")[0]
        if missing == "voxpool":
            raise
        extra = others.get(missing, extra)
        print(f"{name}: {missing} is not installed: pip install 'voxpool[{extra}]'", file=sys.stderr)
        sys.exit(EXIT_WRONG_INPUT)
