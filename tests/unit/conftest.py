"""Fixtures of this folder."""

from __future__ import annotations

import pytest

from tests.unit.played_scheduler import PlayedScheduler
from voxpool.scheduler.sdk.wire.connection import Connection


@pytest.fixture
def scheduler(monkeypatch: pytest.MonkeyPatch) -> PlayedScheduler:
    """The scheduler that the SDK of the test connects to, at any URL."""
    played = PlayedScheduler()
    monkeypatch.setattr(Connection, "open", played.open)
    return played
