"""What a worker node does with audio. An engine is a callable: it gets a Work and returns the output."""

from __future__ import annotations

from voxpool.scheduler.engines.by_name import open_engine
from voxpool.scheduler.engines.engine import Batch, Engine, Work, WorkFailed

__all__ = ["Batch", "Engine", "Work", "WorkFailed", "open_engine"]
