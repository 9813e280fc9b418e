"""Tries mutants: selects and orders the tests, and records the outcome of each mutant."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from mutation.covering import Test, Watcher, read_baseline
from mutation.mutant import LUA_FOLDER, Mutant
from mutation.process import OPTIONS, UNPREPARED, Ended, Session
from mutation.sandbox import Sandbox
from mutation.swap import NotSwappable, swap

FILES = {
    "tests/unit": (
        *("acknowledgements", "backoff", "claim_lease", "client_requests", "client_session", "deadlines"),
        *("emptied_store", "error_text", "expected_wait", "fair", "fair_room", "in_order", "intake", "job_life"),
        *("job_table", "key_heap", "leases", "many", "memory_store", "node_life", "outages", "outbox", "rate_limit"),
        *("reasons", "redis_store", "refusal_texts", "register_all", "results", "retention", "retries"),
        *("script_queue", "sdk_connection", "session", "session_door", "silent_redis", "states", "store_answers"),
        *("store_away", "store_facts", "too_late", "traces", "waiting", "waiting_count", "why"),
        *("partials", "worker_batches", "worker_connection", "worker_drains", "worker_outcome", "worker_setup"),
    ),
    "tests/contract": ("embedded_store", "redis_store"),
    "tests/contract/jobs": ("jobs_on_all_stores",),
    "tests/sim": (
        *("an_allocation_that_crosses_a_rest", "checkers_bite", "content", "faults_of_links", "faults_of_nodes"),
        *("faults_of_the_scheduler", "faults_of_the_store", "limits", "retries", "stores", "why", "world"),
    ),
}
TESTS = ("tests/lua", *(f"{folder}/test_{name}.py" for folder, names in FILES.items() for name in names))
"""The tests that are tried: tests of the code in SCOPE that need no processes of their own and take no minutes."""
FAILING_MAX = 12
"""Tests that may fail without a mutant, and are left out then."""
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
_INCLUDE = re.compile(r'^--- @include "(\w+)"$', re.MULTILINE)


class Fate(StrEnum):
    """What happened to a mutant."""

    KILLED = "killed"
    STUCK = "killed: a test took more than ten times as long"
    SURVIVED = "survived"
    DOUBTFUL = "survived: the test that noticed it fails without it, too"
    UNREACHED = "survived: no test runs it"


class Outcome(NamedTuple):
    """The fate of a mutant, the test that killed it, and the time that it took."""

    mutant: Mutant
    fate: Fate
    killer: str
    seconds: float

    @property
    def killed(self) -> bool:
        """True when a test failed."""
        return self.fate in (Fate.KILLED, Fate.STUCK)

    def doubted(self) -> Outcome:
        """Return the same without the word of its killer."""
        return self._replace(fate=Fate.DOUBTFUL)


class BaselineFailed(Exception):
    """The tests fail without any mutant, so a run proves nothing."""


class RunFailed(Exception):
    """The tests of a mutant did not start, which is no verdict."""


class Trial:
    """Tries one mutant after the other in `sandbox`. Tests that killed before come first, then the fast ones."""

    def __init__(self, sandbox: Sandbox, session: Session, budget_s: float, baseline: Path) -> None:
        self._sandbox = sandbox
        self._session = session
        self._budget_s = budget_s
        self._kills: Counter[str] = Counter()
        self._scripts = scripts_with(sandbox.root)
        started = time.monotonic()
        if not baseline.exists():
            self._run_baseline(baseline)
        known = set(session.tests)
        tests, self.failing = read_baseline(baseline)
        self.tests = [test for test in tests if test.name in known]
        if len(self.failing) > FAILING_MAX:
            raise BaselineFailed("\n".join(self.failing))
        self.baseline_s = time.monotonic() - started

    def _run_baseline(self, file: Path) -> None:
        def work(out: int) -> int:
            watcher = Watcher(self._sandbox.root)
            self._session.register(watcher)
            watcher.begin()
            self._session.run_all(out)
            watcher.write(file)
            return 0

        if self._session.fork(work, {}).code != 0:
            raise BaselineFailed(self._session.output)

    def run(self, mutant: Mutant) -> Outcome:
        """Plant `mutant`, run the tests that reach it until one fails, and heal the copy."""
        started = time.monotonic()
        tests = self._tests_for(mutant)
        if not tests:
            return Outcome(mutant, Fate.UNREACHED, "", 0.0)
        self._sandbox.plant(mutant)
        try:
            ended = self._run_tests(tests, mutant)
        finally:
            self._sandbox.heal(mutant)
        fate = Fate.STUCK if ended.code is None else Fate.SURVIVED if ended.code == 0 else Fate.KILLED
        return Outcome(mutant, fate, "" if fate == Fate.SURVIVED else ended.last, time.monotonic() - started)

    def count(self, outcome: Outcome) -> None:
        """Make the test that killed a mutant come earlier for the next ones."""
        if outcome.killed:
            self._kills[outcome.killer] += 1

    def failing_killers(self) -> list[str]:
        """Run the tests that killed without a mutant, and return those that fail now: their mutants may live."""
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

    def _run_tests(self, tests: Sequence[Test], mutant: Mutant | None = None) -> Ended:
        allowed_s = {test.name: 10 + 10 * test.lasts_s for test in tests}
        ended = self._session.run(
            [test.name for test in tests], allowed_s, lambda: mutant is None or self._plant(mutant)
        )
        if ended.code == UNPREPARED:
            ended = self._run_afresh(tests)
        if ended.code not in (None, 0, 1) and not ended.last:
            raise RunFailed(self._session.output)
        return ended

    def _plant(self, mutant: Mutant) -> bool:
        """Plant `mutant` in this process, whose tree has it; return True when that is possible."""
        if mutant.path.startswith(f"{LUA_FOLDER}/"):
            importlib.import_module("voxpool.scheduler.stores.script_sources").load_sources.cache_clear()
            return True
        try:
            swap(mutant, self._sandbox.healthy(mutant))
        except NotSwappable:
            return False
        return True

    def _run_afresh(self, tests: Sequence[Test]) -> Ended:
        """Run the tests in a process that imports the planted file."""
        root, environment = self._sandbox.root, self._sandbox.environment
        command = [sys.executable, "-m", "pytest", *OPTIONS, "-x", *(test.name for test in tests)]
        try:
            done = subprocess.run(
                command, cwd=root, env=environment, capture_output=True, timeout=60 + 10 * sum(t.lasts_s for t in tests)
            )
        except subprocess.TimeoutExpired:
            return Ended(None, tests[0].name)
        failed = _FAILED.findall(done.stdout.decode(errors="replace"))
        return Ended(min(done.returncode, 1), failed[0] if failed else tests[0].name)

    def _tests_for(self, mutant: Mutant) -> Sequence[Test]:
        """Return the tests that reach `mutant`, the promising ones first, within the budget of seconds."""
        name = mutant.path.removeprefix(f"{LUA_FOLDER}/").removesuffix(".lua")
        scripts = self._scripts.get(name, frozenset())
        reaching = [test for test in self.tests if test.reaches(mutant, scripts)]
        if not reaching:  # code that runs at the import, or a line of a statement that began above it
            reaching = [test for test in self.tests if any(line.startswith(mutant.path) for line in test.lines)]
        reaching.sort(key=lambda test: ((test.seconds + 0.02) / (1 + self._kills[test.name]), test.name))
        chosen: list[Test] = []
        seconds = 0.0
        for test in reaching:
            seconds += test.seconds
            if chosen and seconds > self._budget_s:
                break
            chosen.append(test)
        return chosen


def files_for(mutants: Iterable[Mutant], baseline: Path) -> list[str]:
    """Return the test files with a test that runs a line of one of these files, or a script."""
    paths = {mutant.path for mutant in mutants}
    tests, _ = read_baseline(baseline)
    has_script = any(path.startswith(f"{LUA_FOLDER}/") for path in paths)
    reaching = [
        test
        for test in tests
        if (has_script and test.scripts) or not paths.isdisjoint(line.partition(":")[0] for line in test.lines)
    ]
    return list(dict.fromkeys(test.name.partition("::")[0] for test in reaching))


def scripts_with(root: Path) -> dict[str, frozenset[str]]:
    """Return file below lua/ (without its ending) -> the scripts that include it."""
    parts: dict[str, set[str]] = {}
    for path in sorted((root / LUA_FOLDER).rglob("[!_]*.lua")):
        folder = path.parent.relative_to(root / LUA_FOLDER)
        for name in (path.stem, *_INCLUDE.findall(path.read_text(encoding="utf-8"))):
            parts.setdefault(str(folder / name), set()).add(path.stem)
    return {name: frozenset(scripts) for name, scripts in parts.items()}
