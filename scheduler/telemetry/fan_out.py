"""One Observer that tells several: the core has one, production wants logs, health and more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from voxpool.scheduler.core.seams import Observer


def fan_out(observers: list[Observer]) -> Observer:
    """Return an Observer that calls all of `observers`, without a detour where only one of them listens."""
    methods: dict[str, Callable[..., None]] = {}
    for name, default in vars(Observer).items():
        if name.startswith("_") or not callable(default):
            continue
        bound = [getattr(one, name) for one in observers if getattr(type(one), name) is not default]
        if len(bound) == 1:
            methods[name] = bound[0]
        elif bound:
            methods[name] = _all_of(bound)
    told = Observer()
    vars(told).update(methods)
    return told


def _all_of(methods: list[Callable[..., None]]) -> Callable[..., None]:
    def tell_all(*args: Any) -> None:
        for method in methods:
            method(*args)

    return tell_all
