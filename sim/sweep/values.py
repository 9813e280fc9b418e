"""The variations of a sweep: each combination of the values of --set, put into the tables of a scenario."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.small_file import read_toml
from voxpool.sim.scenario.scenario import Scenario, parse_scenario

VARIATIONS_MAX = 1000


def variations(path: Path, options: Sequence[str]) -> Iterator[tuple[dict[str, str], Scenario]]:
    """Yield the values and the scenario of each variation of the file `path`; without options, the scenario itself.

    An option is PATH=V1,V2,…: nodes.0.count=2,4,8 or settings.node_timeout_s=10,20. Raises ConfigError.
    """
    axes = [_axis(option) for option in options]
    combinations = list(product(*(values for _, values in axes)))
    if len(combinations) > VARIATIONS_MAX:
        raise ConfigError(f"--set: {len(combinations):,} variations; at most {VARIATIONS_MAX:,} are run")
    for combination in combinations:
        table = read_toml(path)
        values = {place: text for (place, _), text in zip(axes, combination, strict=True)}
        for place, text in values.items():
            _put(table, place, text)
        where = ", ".join([str(path), *(f"--set {place}={text}" for place, text in values.items())])
        yield values, parse_scenario(table, where, path.parent)


def _axis(option: str) -> tuple[str, list[str]]:
    place, _, values = option.partition("=")
    if not place or not values:
        raise ConfigError(f"--set {option!r}: write PATH=V1,V2, as in nodes.0.count=2,4,8")
    return place, values.split(",")


def _put(table: dict[str, Any], place: str, text: str) -> None:
    at: Any = table
    *steps, last = place.split(".")
    for step in steps:
        at = _at(at, step, place)
    _at(at, last, place)
    at[int(last) if isinstance(at, list) else last] = _value(text)


def _at(at: Any, step: str, place: str) -> Any:
    if isinstance(at, list) and step.isdecimal() and int(step) < len(at):
        return at[int(step)]
    if isinstance(at, dict):
        return at.setdefault(step, {})
    raise ConfigError(f"--set {place}: the scenario has no {step!r} there")


def _value(text: str) -> Any:
    """Return the value that `text` has in TOML; what is none is a text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
