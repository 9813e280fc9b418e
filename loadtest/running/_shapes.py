"""The number of client users over the time of a run, as data; nothing here runs anything."""

from __future__ import annotations

import itertools
import math

import msgspec

from voxpool.loadtest.options._options import LoadOptions, ShapeName


class Common(msgspec.Struct, frozen=True):
    """Values of Locust's -u, -r and -t; None = not given."""

    users: int | None = None
    spawn_rate: float | None = None
    """Client users that come or go, a second."""
    run_time_s: float | None = None


DEFAULTS: dict[ShapeName, Common] = {
    "steady": Common(10, 10.0),
    "smoke": Common(10, 10.0, 15.0),
    "steps": Common(200, 50.0),
    "spike": Common(20, 100.0, 60.0),
    "soak": Common(100, 20.0, 1800.0),
    "big-pools": Common(200, 50.0, 60.0),
    "churn": Common(50, 50.0, 60.0),
    "chaos": Common(50, 50.0, 60.0),
}
"""Defaults. Without a time, steady runs until it is stopped."""


class Stage(msgspec.Struct, frozen=True):
    """A number of client users for a number of seconds."""

    users: int
    lasts_s: float


class Shape(msgspec.Struct, frozen=True):
    """The consecutive stages of a run. Times count from the registration of all nodes."""

    stages: tuple[Stage, ...]
    spawn_rate: float
    """Client users that come or go, a second."""

    @property
    def run_time_s(self) -> float:
        """Duration; infinite = until it is stopped."""
        return sum(stage.lasts_s for stage in self.stages)

    @property
    def users_max(self) -> int:
        """The maximum number of client users."""
        return max(stage.users for stage in self.stages)

    def users(self, at_s: float) -> int | None:
        """Return the number of client users at `at_s`; None when the run is over."""
        for stage, end_s in zip(self.stages, itertools.accumulate(stage.lasts_s for stage in self.stages), strict=True):
            if at_s < end_s:
                return stage.users
        return None


def complete(common: Common, name: ShapeName) -> Common:
    """Return `common` with the shape's values for those not given."""
    own = DEFAULTS[name]
    return Common(
        own.users if common.users is None else common.users,
        own.spawn_rate if common.spawn_rate is None else common.spawn_rate,
        own.run_time_s if common.run_time_s is None else common.run_time_s,
    )


def shape_of(options: LoadOptions, common: Common) -> Shape:
    """Return the shape that `options` name; -t, when given, cuts the steps, and is the whole length of the others."""
    common = complete(common, options.shape)
    users = common.users or 0
    lasts_s = math.inf if common.run_time_s is None else common.run_time_s
    if options.shape == "steps":
        heights = (math.ceil(users * step / options.steps) for step in range(1, options.steps + 1))
        stages = _cut([Stage(height, options.step_s) for height in heights], lasts_s)
    elif options.shape == "spike":
        around_s = max((lasts_s - options.spike_s) / 2, 0.0)
        high = math.ceil(users * options.spike_factor)
        stages = [Stage(users, around_s), Stage(high, min(options.spike_s, lasts_s)), Stage(users, around_s)]
    else:
        stages = [Stage(users, lasts_s)]
    return Shape(tuple(stage for stage in stages if stage.lasts_s > 0), common.spawn_rate or 1.0)


def _cut(stages: list[Stage], lasts_s: float) -> list[Stage]:
    """Return the stages before `lasts_s`."""
    cut = []
    for stage in stages:
        cut.append(Stage(stage.users, min(stage.lasts_s, lasts_s)))
        lasts_s -= stage.lasts_s
        if lasts_s <= 0:
            break
    return cut
