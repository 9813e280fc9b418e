"""The options of `voxpool-sim capacity`: --work, a distribution such as lognormal:2:1, and --costs."""

from __future__ import annotations

from pathlib import Path

import msgspec

from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.sentences import nearest, wrong
from voxpool.sim.chance.distributions import NAMES, Distribution, load_file
from voxpool.sim.instances.capacity import Wish, report
from voxpool.sim.instances.costs import read_costs
from voxpool.sim.report.report import Report

SECOND = {"even": "spread", "lognormal": "cv", "gamma": "cv", "pareto": "shape"}
"""Distribution -> meaning of the third part of the option."""


def work_of(text: str) -> Distribution:
    """Return the distribution of `text`: NAME:MEAN_S[:CV], pareto:MEAN_S[:SHAPE] or empirical:FILE.

    Raises ConfigError.
    """
    name, _, rest = text.partition(":")
    if name not in NAMES:
        raise ConfigError(f"--work {text!r}: {nearest(name, NAMES)}, as in exponential:2 or lognormal:2:1")
    if name == "empirical":
        return _converted(text, {"dist": name, "file": rest})
    mean, _, second = rest.partition(":")
    table: dict[str, object] = {"dist": name, "mean": _number(text, mean)}
    if second:
        if name not in SECOND:
            raise ConfigError(f"--work {text!r}: {name} has a mean only")
        table[SECOND[name]] = _number(text, second)
    return _converted(text, table)


def planned(rate: float, work: Distribution, slots: int, costs: Path) -> Report:
    """Return the plan of schedulers and Redis for `rate` jobs a second, from a file of costs. Raises ConfigError."""
    assert work.mean is not None
    options = {"rate": rate, "work_s": work.mean, "slots": slots, "costs": str(costs)}
    return report(Wish(rate, work.mean, slots), read_costs(costs), options)


def _converted(text: str, table: dict[str, object]) -> Distribution:
    try:
        found: Distribution = load_file(msgspec.convert(table, Distribution), Path("."), anywhere=True)
    except msgspec.ValidationError as error:
        raise ConfigError(f"--work {text!r}: {wrong(error).sentence}") from None
    if found.mean is None:
        values = found.values
        found = msgspec.structs.replace(found, mean=sum(values) / len(values))
    return found


def _number(text: str, word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise ConfigError(f"--work {text!r}: {word!r} is not a number of seconds, as in exponential:2") from None
