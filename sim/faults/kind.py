"""Kinds of faults, and how a fault replaces methods of its target."""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple


class Target(StrEnum):
    """What a fault affects. Each node, each node's link, each client, the store and the scheduler have at most one
    fault at a time; faults of different targets can overlap, such as a partition and the crash of a node.
    """

    NODE = "node"
    LINK = "link"
    STORE = "store"
    SCHEDULER = "scheduler"
    CLIENT = "client"


def nothing_to_heal(target: Any, state: Any) -> None:
    """Do nothing: the fault is momentary."""


def always(target: Any) -> bool:
    """True: any target that isn't broken can be affected."""
    return True


class FaultKind(NamedTuple):
    """A kind of fault. `begin(target, random)` injects it and returns the state that `heal(target, state)` needs.

    When `can_strike(target)` is false the fault would have no effect: it is left out, and counted.
    """

    what: str
    target: Target
    begin: Callable[[Any, random.Random], Any]
    heal: Callable[[Any, Any], None] = nothing_to_heal
    can_strike: Callable[[Any], bool] = always

    @property
    def is_of_each_node(self) -> bool:
        """True when each node is a target; store, scheduler and all clients together count as one target each."""
        return self.target in (Target.NODE, Target.LINK)

    @property
    def is_momentary(self) -> bool:
        """True when the fault has no duration."""
        return self.heal is nothing_to_heal


def divert(thing: object, **methods: Callable[..., Any]) -> None:
    """Replace methods of `thing` by `methods` until `restore`. Production code needs no check for faults."""
    for name, method in methods.items():
        assert callable(getattr(thing, name)), name
        setattr(thing, name, method)


def restore(thing: object, *names: str) -> None:
    """Undo `divert` for the methods `names` of `thing`."""
    for name in names:
        thing.__dict__.pop(name, None)
