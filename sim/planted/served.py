"""`voxpool serve` with classes of the core replaced, to prove that what measures a scheduler finds the difference."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from voxpool.scheduler.core.composition import Core, CoreClasses


@contextmanager
def served_with(**classes: Any) -> Iterator[None]:
    """Build each core of this process with `classes` (fields of CoreClasses) in place of those its builder chose."""
    whole = Core.build

    def build(**parts: Any) -> Core:
        return whole(**{**parts, "classes": replace(parts.get("classes", CoreClasses()), **classes)})

    with patch.object(Core, "build", build):
        yield
