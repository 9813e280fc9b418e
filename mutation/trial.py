"""Tries mutants: which tests, in which order, and what became of each mutant."""

from __future__ import annotations

import importlib
import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from mutation.covering import Test, Watcher, read_baseline
from mutation.mutant import LUA_FOLDER, Mutant
from mutation.process import Ended, fork_tests, run_tests
from mutation.sandbox import Sandbox

_SIM = (
    *("an_allocation_that_crosses_a_rest", "checkers_bite", "content", "faults_of_links", "faults_of_nodes"),
    *("faults_of_the_scheduler", "faults_of_the_store", "limits", "retries", "stores", "why", "world"),
)
FOLDERS = (
    "tests/unit",
    "tests/lua",
    "tests/contract",
    *(f"tests/sim/test_{name}.py" for name in _SIM),
    "tests/sim/wire",
)
"""What is asked: tests in one process. Left out are experiments and tests of the simulation itself."""
COLLECTION_FAILED = 2
"""pytest's exit code when a test file can't even be imported: that notices a mutant, too."""
FIRST = 12
"""Tests that are tried before the others are even imported."""
FAILING_MAX = 12
"""Tests that may fail without a mutant, and are then left out: some want a process of their own."""
_INCLUDE = re.compile(r'^--- @include "(\w+)"$', re.MULTILINE)
_LATE = ("lupa", "fakeredis")
"""Packages that a test must load itself: which Lua comes first matters (scheduler/stores/luajit.py)."""


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    STUCK = "killed: a test took more than ten times as long"
    SURVIVED = "survived"
    DOUBTFUL = "survived: the test that noticed it fails without it, too"
    UNREACHED = "survived: no test runs it"


class Outcome(NamedTuple):
    """The fate of a mutant, the test that noticed it, and what that took."""

    mutant: Mutant
    fate: Fate
    killer: str
    seconds: float

    @property
    def killed(self) -> bool:
        """Whether the tests noticed it."""
        return self.fate in (Fate.KILLED, Fate.STUCK)

    def doubted(self) -> Outcome:
        """The same without the word of its killer."""
        return self._replace(fate=Fate.DOUBTFUL)


class BaselineFailed(Exception):
    """The tests fail without any mutant: nothing can be learnt from them."""


class RunFailed(Exception):
    """The tests of a mutant did not begin, which is no verdict."""


class Trial:
    """Tries one mutant after the other in `sandbox`. Tests that killed before come first, then the quick ones."""

    def __init__(self, sandbox: Sandbox, work: Path, budget_s: float, baseline: Path | None = None) -> None:
        self._sandbox = sandbox
        self._log = work / "tests.log"
        self._budget_s = budget_s
        self._kills: Counter[str] = Counter()
        self._scripts = _scripts_with(sandbox.root)
        self.tests: list[Test] = []
        self.failing: list[str] = []
        self.baseline_s = 0.0
        file = baseline or work / "baseline.json"
        started = time.monotonic()
        if not file.exists():
            self._run_baseline(file)
        self.tests, self.failing, modules = read_baseline(file)
        if len(self.failing) > FAILING_MAX:
            raise BaselineFailed("\n".join(self.failing))
        for name in modules:
            if not name.startswith(_LATE):
                with suppress(Exception):  # a part that only its own package can import costs a child some time
                    importlib.import_module(name)
        self.baseline_s = time.monotonic() - started

    def _run_baseline(self, file: Path) -> None:
        root = self._sandbox.root
        child = os.fork()
        if child == 0:
            code = 3
            try:
                code = run_tests(root, self._sandbox.environment, FOLDERS, [Watcher(root, file)], self._log)
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) not in (0, 1):
            raise BaselineFailed(self._log.read_text(errors="replace")[-3000:])

    def run(self, mutant: Mutant) -> Outcome:
        """Plant `mutant`, run the tests that reach it until one fails, and heal the copy."""
        started = time.monotonic()
        tests = self._tests_for(mutant)
        if not tests:
            return Outcome(mutant, Fate.UNREACHED, "", 0.0)
        self._sandbox.plant(mutant)
        try:
            ended = self._run_tests(tests[:FIRST])
            if ended.code == 0 and len(tests) > FIRST:
                ended = self._run_tests(tests[FIRST:])
        finally:
            self._sandbox.heal(mutant)
        fate = Fate.STUCK if ended.code is None else Fate.SURVIVED if ended.code == 0 else Fate.KILLED
        return Outcome(mutant, fate, "" if fate == Fate.SURVIVED else ended.last, time.monotonic() - started)

    def count(self, outcome: Outcome) -> None:
        """Let the test that noticed a mutant come earlier for the next ones."""
        if outcome.killed:
            self._kills[outcome.killer] += 1

    def failing_killers(self) -> list[str]:
        """Run the tests that killed without a mutant, and return those that fail now: what they killed may live."""
        killers = [test for test in self.tests if self._kills[test.name]]
        failing = []
        while killers:
            ended = self._run_tests(killers)
            if ended.code == 0:
                break
            failing.append(ended.last)
            names = [test.name for test in killers]
            killers = killers[names.index(ended.last) + 1 :]
        return failing

    def _run_tests(self, tests: Sequence[Test]) -> Ended:
        names, times = [test.name for test in tests], [test.seconds for test in tests]
        ended = fork_tests(self._sandbox.root, self._sandbox.environment, names, times, self._log)
        if ended.code not in (0, 1, COLLECTION_FAILED) and not ended.last:
            raise RunFailed(self._log.read_text(errors="replace")[-3000:])
        return ended

    def _tests_for(self, mutant: Mutant) -> Sequence[Test]:
        """The tests that reach `mutant`, the promising ones first, as many as the budget of seconds holds."""
        name = mutant.path.removeprefix(f"{LUA_FOLDER}/").removesuffix(".lua")
        scripts = self._scripts.get(name, frozenset())
        reaching = [test for test in self.tests if test.reaches(mutant, scripts)]
        if not reaching:  # what runs at the import, or a line of a statement that began above it
            reaching = [test for test in self.tests if any(line.startswith(mutant.path) for line in test.lines)]
        reaching.sort(key=lambda test: ((test.seconds + 0.05) / (1 + self._kills[test.name]), test.name))
        chosen: list[Test] = []
        seconds = 0.0
        for test in reaching:
            seconds += test.seconds
            if chosen and seconds > self._budget_s:
                break
            chosen.append(test)
        return chosen


def _scripts_with(root: Path) -> dict[str, frozenset[str]]:
    """File of lua/ (without its ending) -> the scripts that it is part of."""
    parts: dict[str, set[str]] = {}
    for path in sorted((root / LUA_FOLDER).glob("[!_]*.lua")):
        for name in (path.stem, *_INCLUDE.findall(path.read_text(encoding="utf-8"))):
            parts.setdefault(name, set()).add(path.stem)
    return {name: frozenset(scripts) for name, scripts in parts.items()}
