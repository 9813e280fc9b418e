"""The store in memory: a call that fails does not stop those after it."""

from __future__ import annotations

import pytest

from voxpool.scheduler.core.scripts import ScriptCall, register_node
from voxpool.scheduler.errors import ScriptFailed
from voxpool.scheduler.stores.memory import MemoryStore


def test_the_calls_after_one_that_fails_are_run() -> None:
    """As in Redis: the scheduler learns of the failure, and the store has done the rest."""
    store = MemoryStore()
    well = register_node(1000, 45_000, "gpu-1", "g1", "p1", 2, "", ["zh:en"], "", [])
    with pytest.raises(ScriptFailed, match=r"^register_node: "):
        store.run_now([ScriptCall("register_node", ["not a time"]), well])
    assert store.census()["nodes"] == 1
