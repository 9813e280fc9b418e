"""What several tests of this folder use."""

from __future__ import annotations

import pytest

from tests.unit.played_scheduler import PlayedScheduler
from voxpool.scheduler.sdk.wire.connection import Connection


@pytest.fixture
def scheduler(monkeypatch: pytest.MonkeyPatch) -> PlayedScheduler:
    """The scheduler that the SDK of this test reaches, whatever URL it has."""
    played = PlayedScheduler()
    monkeypatch.setattr(Connection, "open", played.open)
    return played
