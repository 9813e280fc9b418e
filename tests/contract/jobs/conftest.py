"""The stores of the comparison for lua/jobs/, started once for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.sides import Side, Sides
from voxpool.scheduler.stores.script_sources import JOBS


@pytest.fixture(scope="session")
def job_sides() -> Iterator[list[Side]]:
    """Memory, a redis-server, the embedded Valkey and fakeredis."""
    with Sides(JOBS) as opened:
        yield opened.all()
