"""Which test runs which lines and scripts, and how long it takes: one run of all tests without a mutant."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import coverage
import pytest

from mutation.mutant import LUA_FOLDER, Mutant, files_in_scope

MEASURE_THE_MACHINE = tuple(
    f"tests/sim/test_{name}.py" for name in ("pause_watch", "bench_table", "processes", "stats")
)
"""Real time and real memory, which a busy machine may spoil; no mutant is asked of these."""


class Test(NamedTuple):
    """A test that passes without a mutant: `lines` are path:line, `scripts` the names of the scripts that it calls."""

    name: str
    seconds: float
    lines: frozenset[str]
    scripts: frozenset[str]

    def reaches(self, mutant: Mutant, scripts: frozenset[str]) -> bool:
        """Whether it runs the changed line of `mutant`, or one of `scripts`, into which its file goes."""
        if mutant.path.startswith(LUA_FOLDER):
            return not self.scripts.isdisjoint(scripts)
        return f"{mutant.path}:{mutant.line}" in self.lines


class Watcher:
    """A pytest plugin that writes tests and imported modules to `file`."""

    def __init__(self, root: Path, file: Path) -> None:
        self._root = root
        self._file = file
        self._paths = [path for path in files_in_scope(root) if path.endswith(".py")]
        self._coverage = coverage.Coverage(
            data_file=None, include=[str(root / path) for path in self._paths], branch=False, config_file=False
        )
        self._tests: list[dict[str, Any]] = []
        self._failing: list[str] = []
        self._scripts: set[str] = set()
        self._passed = False

    def pytest_sessionstart(self) -> None:
        self._coverage.start()

    def pytest_collection_finish(self) -> None:
        memory = importlib.import_module("voxpool.scheduler.stores.memory")
        run_now = memory.MemoryStore.run_now
        scripts = self._scripts

        def noted(store: Any, calls: Any) -> Any:
            scripts.update(call.name for call in calls)
            return run_now(store, calls)

        memory.MemoryStore.run_now = noted

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._scripts.clear()
        self._passed = True
        self._coverage.switch_context(item.nodeid)
        started = time.perf_counter()
        result = yield
        seconds = time.perf_counter() - started
        if not self._passed:
            self._failing.append(item.nodeid)
        elif not item.nodeid.startswith(MEASURE_THE_MACHINE):
            self._tests.append({"name": item.nodeid, "seconds": seconds, "scripts": sorted(self._scripts)})
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._passed = self._passed and report.passed

    def pytest_sessionfinish(self) -> None:
        self._coverage.stop()
        data = self._coverage.get_data()
        lines: dict[str, list[str]] = {}
        for path in self._paths:
            for line, names in data.contexts_by_lineno(str(self._root / path)).items():
                for name in names:
                    lines.setdefault(name, []).append(f"{path}:{line}")
        for test in self._tests:
            test["lines"] = lines.get(test["name"], [])
        modules = [name for name, module in sys.modules.items() if not self._ours(module)]
        self._file.write_text(json.dumps({"tests": self._tests, "failing": self._failing, "modules": modules}))

    def _ours(self, module: Any) -> bool:
        file = getattr(module, "__file__", None)
        return file is None or str(file).startswith(str(self._root))


def read_baseline(file: Path) -> tuple[list[Test], list[str], list[str]]:
    """Return what a Watcher wrote: the tests that pass, those that fail, and the modules of other packages in use."""
    baseline = json.loads(file.read_text())
    tests = [
        Test(test["name"], test["seconds"], frozenset(test["lines"]), frozenset(test["scripts"]))
        for test in baseline["tests"]
    ]
    return tests, baseline["failing"], baseline["modules"]
