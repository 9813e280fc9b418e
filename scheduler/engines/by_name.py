"""The engines by name: those that come with voxpool, and functions of the user."""

from __future__ import annotations

import math

from voxpool.scheduler.engines.engine import Engine
from voxpool.scheduler.errors import ConfigError

SECONDS_MAX = 86_400.0
NAMES = ("measure", "measure:SECONDS (slower)", "pocketsphinx", "sleep:SECONDS", "module:function")


def open_engine(spec: str) -> Engine:
    """Return the engine named by `spec`: one of NAMES; the names of voxpool take precedence over modules.

    Raises ConfigError for an unknown name, a bad parameter, a module or function that isn't there, or an engine whose
    extra isn't installed.
    """
    name, colon, parameter = spec.partition(":")
    if name == "measure":
        from voxpool.scheduler.engines.measure import SlowMeasure, measure

        return SlowMeasure(parse_seconds(parameter)) if colon else measure
    if name == "pocketsphinx" and not colon:
        from voxpool.scheduler.engines.pocketsphinx import Recogniser

        return Recogniser()
    if name == "sleep":
        from voxpool.scheduler.engines.sleep import Sleeper

        return Sleeper(parse_seconds(parameter))
    from voxpool.scheduler.engines.imported import import_engine, is_import

    if is_import(spec):
        return import_engine(spec)
    raise ConfigError(f"unknown engine {spec!r}; known are {', '.join(NAMES)}")


def parse_seconds(text: str) -> float:
    """Return the seconds after the colon of an engine's name. Raises ConfigError."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= SECONDS_MAX:
        raise ConfigError(f"engine: {text!r} after the colon: write seconds there, such as sleep:0.2")
    return seconds
