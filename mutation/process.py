"""One pytest session that has collected all tests, and a fork of it for each mutant: nothing is imported again."""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

MEMORY_MAX = 6 * 2**30
"""Limit of a child's address space in bytes: a mutant that fills the memory ends early."""
UNPREPARED = 4
"""The exit code of a child whose preparation failed."""
OPTIONS = (
    *("-q", "-s", "--no-header", "--tb=short", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:randomly"),
    *("--hypothesis-seed=0", "-o", "timeout=0", "-m", "not alone and not large"),
)


class Ended(NamedTuple):
    """The end of a child: its exit code (0: all passed, 1: a test failed, None: timed out), and its last test."""

    code: int | None
    last: str


class Session:
    """A pytest plugin that gives the session to `work` in place of running its tests."""

    def __init__(self, work: Callable[[Session], None], log: Path) -> None:
        self._work = work
        self._log = log
        self._session: pytest.Session

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._session = session
        self._work(self)
        return True

    @property
    def tests(self) -> list[str]:
        """Return the names of all tests."""
        return [item.nodeid for item in self._session.items]

    @property
    def output(self) -> str:
        """Return the last part of the last child's output."""
        return self._log.read_text(errors="replace")[-3000:]

    def run(self, names: Sequence[str], allowed_s: Mapping[str, float], prepare: Callable[[], bool]) -> Ended:
        """Fork, and if `prepare` returns True, run the tests `names` in this order to the first that fails.

        Each test may take `allowed_s`.
        """
        items = {item.nodeid: item for item in self._session.items}
        return self.fork(lambda out: self._run_items([items[name] for name in names], prepare, out), allowed_s)

    def fork(self, work: Callable[[int], int], allowed_s: Mapping[str, float]) -> Ended:
        """Run `work` in a child; it writes the name of each test that begins to the file descriptor that it gets."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            code = 3
            try:
                os.setsid()
                os.close(reader)
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                output = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.dup2(output, 1)
                os.dup2(output, 2)
                code = work(writer)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        os.close(writer)
        last, timed_out = _follow(reader, allowed_s)
        os.close(reader)
        ended, status = os.waitpid(child, os.WNOHANG)
        timed_out = timed_out and not ended  # otherwise a process that it started keeps the pipe open
        if timed_out:
            os.killpg(child, signal.SIGKILL)
        if not ended:
            _, status = os.waitpid(child, 0)
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # processes that the tests left behind
        return Ended(None if timed_out else os.waitstatus_to_exitcode(status), last)

    def _run_items(self, items: Sequence[pytest.Item], prepare: Callable[[], bool], out: int) -> int:
        if not prepare():
            return UNPREPARED
        for item, following in zip(items, [*items[1:], None], strict=True):
            os.write(out, f"{item.nodeid}\n".encode())
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
            if self._session.testsfailed:
                return 1
        return 0

    def run_all(self, out: int) -> None:
        """Run all tests in this process, also after failures."""
        items = self._session.items
        for item, following in zip(items, [*items[1:], None], strict=True):
            os.write(out, f"{item.nodeid}\n".encode())
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)

    def register(self, plugin: object) -> None:
        """Register `plugin` for the tests of this process."""
        self._session.config.pluginmanager.register(plugin)


def in_session(
    root: Path, environment: Mapping[str, str], tests: Sequence[str], log: Path, work: Callable[[Session], None]
) -> int:
    """Collect `tests` of the tree at `root` in this process, call `work`, and return pytest's exit code."""
    os.chdir(root)
    os.environ.update(environment)
    sys.path[:] = [str(root), *(entry for entry in sys.path if entry not in ("", os.getcwd()))]
    sys.dont_write_bytecode = True
    return int(pytest.main([*OPTIONS, *tests], plugins=[Session(work, log)]))


def _follow(reader: int, allowed_s: Mapping[str, float]) -> tuple[str, bool]:
    """Read the names of begun tests until the child closes the pipe; return the last, and whether it took too long."""
    last, rest = "", b""
    until: float | None = None
    while True:
        left_s = None if until is None else max(0.0, until - time.monotonic())
        ready, _, _ = select.select([reader], [], [], left_s)
        if not ready:
            return last, True
        data = os.read(reader, 65536)
        if not data:
            return last, False
        *lines, rest = (rest + data).split(b"\n")
        if lines:
            last = lines[-1].decode()
            until = time.monotonic() + allowed_s.get(last, 600.0)
