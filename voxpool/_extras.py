"""Packages that are not installed: which extra of voxpool brings them. It imports nothing but the standard library."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_OWN_EXTRA = {"pocketsphinx": "speech", "opentelemetry": "traces"}
"""Packages that every command can do without, and the extra of each."""


class MissingPackage(ModuleNotFoundError):
    """A package is not installed. The text is one line with the pip command that installs it."""


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Within it, a missing package raises MissingPackage with the command that installs `extra` ("" is the base).

    When a module of voxpool itself or of the standard library is missing, no extra can help: that error passes.
    """
    try:
        yield
    except MissingPackage:
        raise
    except ModuleNotFoundError as error:
        missing = (error.name or "voxpool").partition(".")[0]
        if missing == "voxpool" or missing in sys.stdlib_module_names:
            raise
        brings = _OWN_EXTRA.get(missing, extra)
        what = f"'voxpool[{brings}]'" if brings else "voxpool"
        raise MissingPackage(f"{missing} is not installed: pip install {what}", name=error.name) from None
