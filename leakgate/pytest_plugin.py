"""The fixtures `assert_no_leak` and `assert_no_leak_async`; their modules are imported on first use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest


@pytest.fixture
def assert_no_leak() -> Callable[..., None]:
    """leakgate.assert_no_leak: calls a function repeatedly, and fails when memory grows with the calls."""
    from voxpool.leakgate.no_leak import assert_no_leak

    return assert_no_leak


@pytest.fixture
def assert_no_leak_async() -> Callable[..., Awaitable[Any]]:
    """leakgate.assert_no_leak_async: the same for a test that runs in an event loop; await it."""
    from voxpool.leakgate.no_leak import assert_no_leak_async

    return assert_no_leak_async
