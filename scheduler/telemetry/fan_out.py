"""One Observer that calls several: the core has one, production wants logs, health and more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from inspect import signature
from types import CodeType, FunctionType
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
    """Return one function that calls `methods` in turn, with the parameters of the first; a single one is returned."""
    if len(methods) == 1:
        return methods[0]
    if not methods:
        return _nothing
    parameters = signature(methods[0]).parameters.values()
    code = _calls(", ".join(each.name for each in parameters), len(methods))
    named = {f"method_{i}": method for i, method in enumerate(methods)}
    defaults = tuple(each.default for each in parameters if each.default is not each.empty)
    return FunctionType(code.replace(), named, argdefs=defaults)  # a copy: CPython specializes code for its globals


@cache
def _calls(arguments: str, count: int) -> CodeType:
    """Return the code of a function that calls method_0, method_1, …: in a loop over *args it takes twice the time."""
    lines = (f"method_{i}({arguments})" for i in range(count))
    namespace: dict[str, Any] = {}
    text = "\n    ".join((f"def call_all({arguments}):", *lines))
    exec(compile(text, __file__, "exec"), namespace)  # nosec B102  # the text has parameters of Observer and numbers
    code: CodeType = namespace["call_all"].__code__
    return code


def _nothing(*_args: Any) -> None:
    """Do nothing: no method was given."""
