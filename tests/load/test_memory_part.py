"""The activities of a load that a leak could depend on, from the statistics of Locust."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from voxpool.loadtest.memory._part import MemoryPart
from voxpool.loadtest.running._part import Context

Row = tuple[str, int, int]


def exercised(*rows: Row, nodes: int = 2) -> dict[str, int]:
    """Return the activities for rows of name, requests and failures."""
    entries: dict[Any, Any] = {
        number: SimpleNamespace(name=name, num_requests=requests, num_failures=failures)
        for number, (name, requests, failures) in enumerate(rows)
    }
    environment = SimpleNamespace(stats=SimpleNamespace(entries=entries))
    context = Context(environment, None, None, "worker", nodes=nodes)
    return MemoryPart(context)._exercised()


@pytest.mark.parametrize(
    ("rows", "did"),
    [
        ([("connect", 9, 0), ("register", 2, 0), ("submit", 900, 0)], set()),
        ([("reconnect", 1, 0)], {"reconnects"}),
        ([("register", 3, 0)], {"reconnects"}),
        ([("submit", 5, 1)], {"errors"}),
        ([("misbehave:no_hello", 4, 0)], {"errors"}),
        ([("cancel", 2, 0)], {"cancels"}),
    ],
)
def test_the_activities_of_the_load(rows: list[Row], did: set[str]) -> None:
    assert {name for name, times in exercised(*rows).items() if times} == did
