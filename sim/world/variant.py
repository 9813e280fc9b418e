"""Replacements of production code in a run: the "without" side of an experiment, or a planted bug."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from voxpool.scheduler.core.composition import CoreClasses
from voxpool.scheduler.stores.script_sources import ScriptSource
from voxpool.sim.world.links import Connection
from voxpool.sim.world.nodes import SimNode


@dataclass(frozen=True)
class Variant:
    """The classes, settings and scripts of a run; the defaults are those of production.

    `settings` override those of the scenario; `scripts` replace all of lua/ (memory store only); `node` and
    `connection` are the classes of simulated nodes and connections.
    """

    name: str = "with"
    classes: CoreClasses = field(default_factory=CoreClasses)
    settings: Mapping[str, Any] = field(default_factory=dict)
    scripts: Mapping[str, ScriptSource] | None = None
    node: type[SimNode] = SimNode
    connection: type[Connection] = Connection
