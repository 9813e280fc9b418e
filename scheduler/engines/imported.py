"""An engine of the user, named as `module:function`, as uvicorn and arq take it."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
import traceback
from typing import TYPE_CHECKING, Any

from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.sentences import nearest

if TYPE_CHECKING:
    from voxpool.scheduler.engines.engine import Engine

_SPEC = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def is_import(spec: str) -> bool:
    """Return whether `spec` has the form module:function, both with dots if need be."""
    return bool(_SPEC.fullmatch(spec))


def import_engine(spec: str) -> Engine:
    """Return the function that `spec` names, plain or `async`; it takes a Work.

    A class is called once without arguments: for a model that is loaded once. What `@worker` made is returned as it is:
    `Worker` finds its function, batch and setup.
    Modules are looked for in the current folder first. Raises ConfigError.
    """
    module_name, _, path = spec.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    found: Any = _module(spec, module_name)
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            names = [known for known in dir(found) if not known.startswith("_")]
            raise ConfigError(f"engine {spec}: {module_name} has no {name}; {nearest(name, names)}") from None
    if inspect.isclass(found):
        found = _made(spec, found)
    if not callable(found):
        raise ConfigError(f"engine {spec}: is no function that takes a Work, but {type(found).__name__}")
    _check_arguments(spec, found.function if getattr(found, "is_worker_app", False) else found)
    engine: Engine = found
    return engine


def _module(spec: str, name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            where = "in the current folder or among the installed packages"
            raise ConfigError(f"engine {spec}: there is no module {error.name} {where}") from None
        raise _raised(spec, f"importing {name}", error) from None
    except (Exception, SystemExit) as error:
        raise _raised(spec, f"importing {name}", error) from None


def _made(spec: str, kind: type) -> Any:
    try:
        return kind()
    except Exception as error:
        raise _raised(spec, f"{kind.__name__}()", error) from None


def _raised(spec: str, what: str, error: BaseException) -> ConfigError:
    """Return an error that names the line of the user's file."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<frozen")]
    at = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if len(frames) > 1 else ""
    return ConfigError(f"engine {spec}: {what} raised {type(error).__name__}: {error}{at}")


def _check_arguments(spec: str, function: Any) -> None:
    try:
        signature = inspect.signature(function)
    except ValueError:  # of some functions in C
        return
    try:
        signature.bind(None)
    except TypeError:
        raise ConfigError(f"engine {spec}: must take one argument, the Work, and takes {signature}") from None
