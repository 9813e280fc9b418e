"""Records which test runs which lines and scripts, and how long it takes, in one run of all tests without a mutant."""

from __future__ import annotations

import importlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import coverage
import pytest

from mutation.mutant import LUA_FOLDER, Mutant, files_in_scope


class Test(NamedTuple):
    """A test that passes without a mutant: `lines` are path:line, `scripts` the names of the scripts that it calls."""

    name: str
    seconds: float
    """The processor time that it needs."""
    lasts_s: float
    """Its duration by the clock."""
    lines: frozenset[str]
    scripts: frozenset[str]

    def reaches(self, mutant: Mutant, scripts: frozenset[str]) -> bool:
        """True when it runs the changed line of `mutant`, or a script that includes its file."""
        if mutant.path.startswith(LUA_FOLDER):
            return not self.scripts.isdisjoint(scripts)
        return f"{mutant.path}:{mutant.line}" in self.lines


class Watcher:
    """A pytest plugin that records what each test runs, between `begin` and `write`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._paths = [path for path in files_in_scope(root) if path.endswith(".py")]
        self._coverage = coverage.Coverage(
            data_file=None, include=[str(root / path) for path in self._paths], branch=False, config_file=False
        )
        self._tests: list[dict[str, Any]] = []
        self._failing: list[str] = []
        self._scripts: set[str] = set()
        self._passed = False

    def begin(self) -> None:
        """Start tracing."""
        memory = importlib.import_module("voxpool.scheduler.stores.memory")
        run_now = memory.MemoryStore.run_now
        scripts = self._scripts

        def noted(store: Any, calls: Any) -> Any:
            scripts.update(call.name for call in calls)
            return run_now(store, calls)

        memory.MemoryStore.run_now = noted
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._scripts.clear()
        self._passed = True
        self._coverage.switch_context(item.nodeid)
        started, used = time.perf_counter(), _processor_s()
        result = yield
        if not self._passed:
            self._failing.append(item.nodeid)
        else:
            lasts_s, seconds = time.perf_counter() - started, _processor_s() - used
            row = {"name": item.nodeid, "seconds": seconds, "lasts_s": lasts_s, "scripts": sorted(self._scripts)}
            self._tests.append(row)
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._passed = self._passed and report.passed

    def write(self, file: Path) -> None:
        """Write the records to `file`."""
        self._coverage.stop()
        data = self._coverage.get_data()
        lines: dict[str, list[str]] = {}
        for path in self._paths:
            for line, names in data.contexts_by_lineno(str(self._root / path)).items():
                for name in names:
                    lines.setdefault(name, []).append(f"{path}:{line}")
        for test in self._tests:
            test["lines"] = lines.get(test["name"], [])
        file.write_text(json.dumps({"tests": self._tests, "failing": self._failing}))


def _processor_s() -> float:
    return sum(os.times()[:4])


def read_baseline(file: Path) -> tuple[list[Test], list[str]]:
    """Return the records of a Watcher: the tests that pass, and the names of those that fail."""
    baseline = json.loads(file.read_text())
    tests = [
        Test(test["name"], test["seconds"], test["lasts_s"], frozenset(test["lines"]), frozenset(test["scripts"]))
        for test in baseline["tests"]
    ]
    return tests, baseline["failing"]
