"""The scripts of lua/ on every store: memory, a redis-server, the embedded Valkey, fakeredis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.sides import STORES, Sides
from tests.lua.desk import Desk


@pytest.fixture(scope="session")
def sides() -> Iterator[Sides]:
    """The stores; a store is started at its first use."""
    with Sides() as opened:
        yield opened


@pytest.fixture(params=STORES)
def desk(sides: Sides, request: pytest.FixtureRequest) -> Desk:
    """An empty store, and a caller of scripts with default arguments."""
    side = sides[request.param]
    side.clear()
    return Desk(side)
