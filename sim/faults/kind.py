"""What a kind of fault is, and how it gets hold of what it breaks."""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple


class Target(StrEnum):
    """What a fault strikes. Each node, each node's link, each client, the store and the scheduler have at most one
    fault at a time; those of different targets may be on together, such as a partition around a node that crashes.
    """

    NODE = "node"
    LINK = "link"
    STORE = "store"
    SCHEDULER = "scheduler"
    CLIENT = "client"


def nothing_to_heal(target: Any, state: Any) -> None:
    """A fault of a moment: it is over when it has happened."""


def always(target: Any) -> bool:
    """Any target that isn't broken can be struck."""
    return True


class FaultKind(NamedTuple):
    """A kind of fault. `begin(target, random)` breaks and returns what `heal(target, state)` needs to undo it.

    `can_strike(target)` tells whether it has an effect now; without one the strike is left out, and counted.
    """

    what: str
    target: Target
    begin: Callable[[Any, random.Random], Any]
    heal: Callable[[Any, Any], None] = nothing_to_heal
    can_strike: Callable[[Any], bool] = always

    @property
    def is_of_each_node(self) -> bool:
        """True when there are as many targets as nodes; of the others there is one, the clients together are one."""
        return self.target in (Target.NODE, Target.LINK)

    @property
    def is_momentary(self) -> bool:
        """True when it has no duration."""
        return self.heal is nothing_to_heal


def divert(thing: object, **methods: Callable[..., Any]) -> None:
    """Replace methods of `thing` by `methods` until `restore`. Production code needs no check for faults."""
    for name, method in methods.items():
        assert callable(getattr(thing, name)), name
        setattr(thing, name, method)


def restore(thing: object, *names: str) -> None:
    """Give `thing` its own methods back."""
    for name in names:
        thing.__dict__.pop(name, None)
