"""leakgate: does a process leak? It reads the memory of any server and judges the series of readings.

It is independent of the server's task: work is a rising counter, and each reading has sizes in bytes and counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxpool.leakgate.no_leak import assert_no_leak, assert_no_leak_async

__all__ = ["assert_no_leak", "assert_no_leak_async"]


def __getattr__(name: str) -> Any:
    # A server that imports voxpool.leakgate.inside doesn't import what only tests need.
    if name in __all__:
        from voxpool.leakgate import no_leak

        return getattr(no_leak, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
