"""One Observer that calls several: the core has one, production wants logs, health and more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from voxpool.scheduler.core.seams import Observer


def fan_out(observers: list[Observer]) -> Observer:
    """Return an Observer that calls all of `observers`, directly where only one of them implements a method."""
    whole = Observer()
    for name, default in vars(Observer).items():
        if name.startswith("_") or not callable(default):
            continue
        methods = [getattr(one, name) for one in observers if getattr(type(one), name) is not default]
        if methods:
            setattr(whole, name, all_of(methods))
    return whole


def all_of(methods: Sequence[Callable[..., None]]) -> Callable[..., None]:
    """Return one function that calls `methods` in turn; a single one is returned as it is."""
    if len(methods) == 1:
        return methods[0]

    def call_all(*args: Any) -> None:
        for method in methods:
            method(*args)

    return call_all
