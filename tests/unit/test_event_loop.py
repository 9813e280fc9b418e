"""Client and worker run on uvloop where it is installed."""

from __future__ import annotations

import sys

import pytest
import uvloop

from voxpool.scheduler.sdk.wire.event_loop import new_event_loop


def test_uvloop_is_used_where_it_is_installed() -> None:
    loop = new_event_loop()
    loop.close()
    assert isinstance(loop, uvloop.Loop)


def test_without_uvloop_the_loop_is_that_of_asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    loop = new_event_loop()
    loop.close()
    assert not isinstance(loop, uvloop.Loop)
