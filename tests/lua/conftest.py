"""The scripts of lua/ on every store: memory, a redis-server, the embedded Valkey, fakeredis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.sides import Side, all_sides
from tests.lua.desk import Desk

STORES = ("memory", "redis", "embedded", "fakeredis")


@pytest.fixture(scope="session")
def sides() -> Iterator[dict[str, Side]]:
    """All stores by name, started once."""
    with all_sides() as opened:
        yield {side.name: side for side in opened}


@pytest.fixture(params=STORES)
def desk(sides: dict[str, Side], request: pytest.FixtureRequest) -> Desk:
    """An empty store, and a caller of scripts with the defaults of a quiet test."""
    side = sides[request.param]
    side.clear()
    return Desk(side)
