"""A schedule as its departures from the default order, which always takes the first open step.

As text it is one argument to paste, such as "4:fault offline n1;9:timer dispatch j1": the number of the step, from 0,
and the label of the step taken instead of the first. Special characters are written as %XX.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple
from urllib.parse import quote, unquote

from voxpool.scheduler.errors import ConfigError

DEFAULT = "default"
"""The text of the schedule without departures."""
PLAIN = " |>,.:=+-_/()[]<>{}*&^@#~?'"
"""Characters that are allowed between double quotes in any shell."""


class Departure(NamedTuple):
    """Step number `at` is `label` instead of the first open one."""

    at: int
    label: str


Schedule = tuple[Departure, ...]
"""In the order of the steps."""


class WrongSchedule(ConfigError):
    """A text that isn't a schedule, or a schedule that is not possible in this flow."""


def to_text(schedule: Schedule) -> str:
    """Return `schedule` as one line."""
    return ";".join(f"{at}:{quote(label, safe=PLAIN)}" for at, label in schedule) or DEFAULT


def from_text(text: str) -> Schedule:
    """Parse what to_text wrote; raises WrongSchedule."""
    if text.strip() in (DEFAULT, ""):
        return ()
    schedule = []
    for part in text.split(";"):
        at, colon, label = part.lstrip().partition(":")
        if not colon or not at.isdecimal() or not label:
            raise WrongSchedule(f'schedule: {part!r} is not "NUMBER:LABEL"; an example is "4:fault offline n1"')
        schedule.append(Departure(int(at), unquote(label)))
    if any(one.at >= other.at for one, other in pairwise(schedule)):
        raise WrongSchedule("schedule: the numbers of the steps have to grow")
    return tuple(schedule)
