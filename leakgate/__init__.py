"""leakgate: does a process leak? A judge for series of memory readings, and readers that take them from any server.

It knows nothing of what the server does: work is a counter that rises, and each reading has sizes in bytes and counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxpool.leakgate.no_leak import assert_no_leak, assert_no_leak_async

__all__ = ["assert_no_leak", "assert_no_leak_async"]


def __getattr__(name: str) -> Any:
    # A server that imports voxpool.leakgate.inside does not pay for what its tests need.
    if name in __all__:
        from voxpool.leakgate import no_leak

        return getattr(no_leak, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
