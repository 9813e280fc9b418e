"""What a worker node does with audio. An engine is a callable: it gets a Work and returns the output."""

from __future__ import annotations

from voxpool.scheduler.engines.engine import Engine, Work, WorkFailed, open_engine

__all__ = ["Engine", "Work", "WorkFailed", "open_engine"]
