"""The stores of the comparison, started once for all its tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.sides import Side, Sides


@pytest.fixture(scope="session")
def sides() -> Iterator[list[Side]]:
    """Memory, a redis-server, the embedded Valkey and fakeredis."""
    with Sides() as opened:
        yield opened.all()
