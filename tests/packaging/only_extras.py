"""Runs programs that can import only the packages of some extras of voxpool; it installs nothing.

Standard input has a JSON array: the extras, and code to run; each code runs in a process of its own. Standard output
has the exit code, standard output and standard error of each. The extras are a list such as ["server"]; [] is voxpool
without any, and null hides even the packages that this needs.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import json
import os
import pkgutil
import sys
import tempfile
import traceback
from collections.abc import Iterable, Sequence
from importlib.metadata import distribution
from types import ModuleType

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OURS = "voxpool"


class Only(importlib.abc.MetaPathFinder):
    """Finds only `names` and the standard library; all other modules appear as not installed."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names) | sys.stdlib_module_names | {OURS}
        self._finders = list(sys.meta_path)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] not in self._names and not fullname.startswith("_sysconfigdata"):
            return None
        found = (finder.find_spec(fullname, path, target) for finder in self._finders)
        return next((spec for spec in found if spec is not None), None)


def distributions_of(extras: Iterable[str]) -> set[str]:
    """Return the distributions that `pip install voxpool[extras]` installs here, without voxpool."""
    waiting = [(OURS, frozenset(extras))]
    seen = set(waiting)
    while waiting:
        name, wanted = waiting.pop()
        for requirement in map(Requirement, distribution(name).requires or []):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *wanted)):
                found = (canonicalize_name(requirement.name), frozenset(requirement.extras))
                if found not in seen:
                    seen.add(found)
                    waiting.append(found)
    return {str(name) for name, _ in seen} - {OURS}


def modules_of(name: str) -> set[str]:
    """Return the top-level modules of an installed distribution."""
    files = distribution(name).files or []
    return {file.parts[0].partition(".")[0] for file in files if file.suffix in (".py", ".so")}


def not_importable(package: str) -> Iterable[str]:
    """Yield a line for each module of `package` that can't be imported."""
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        if not module.name.endswith("__main__"):
            try:
                importlib.import_module(module.name)
            except ImportError as error:
                yield f"{module.name}: {error}"


def run(code: str) -> tuple[int, str, str]:
    """Run `code` in a fork of this process; return its exit code, standard output and standard error."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = os.fork()
        if child == 0:
            os.dup2(output.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            try:
                exec(code, {"not_importable": not_importable})
                status: object = 0
            except SystemExit as ended:
                status = ended.code
            except BaseException:
                traceback.print_exc()
                status = 1
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status if isinstance(status, int) else 0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        output.seek(0)
        errors.seek(0)
        return status, output.read().decode(), errors.read().decode()


if __name__ == "__main__":
    extras, codes = json.load(sys.stdin)
    there = set() if extras is None else {module for name in distributions_of(extras) for module in modules_of(name)}
    for module in [name for name in sys.modules if name.partition(".")[0] == "packaging"]:
        del sys.modules[module]  # this program itself imported it
    sys.meta_path[:] = [Only(there)]
    sys.stdout.write(json.dumps([run(code) for code in codes]))
