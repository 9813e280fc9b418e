"""The versions of Python and libraries that a figure may depend on, for reports."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from voxpool.scheduler import __version__


def versions() -> dict[str, str]:
    """Return the versions that a figure may depend on."""
    found = {"voxpool": __version__, "python": platform.python_version(), "platform": platform.machine()}
    for name in ("simpy", "lupa", "msgspec", "numpy", "scipy", "matplotlib"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
