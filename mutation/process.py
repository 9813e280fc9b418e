"""A run of pytest in a child process, which a fork gives all imported packages for nothing."""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

MEMORY_MAX = 6 * 2**30
"""Bytes of address space of a child: a mutant that fills the memory ends early."""
COLLECTED_WITHIN_S = 300.0
"""Within it the first test has to begin; no mutant runs before, but the machine may be busy."""
OPTIONS = [
    *("-q", "--no-header", "--tb=short", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:randomly"),
    *("--hypothesis-seed=0", "-o", "timeout=0", "-m", "not alone and not large"),
]


class Ended(NamedTuple):
    """How a child ended: pytest's exit code (None: its time ran out) and the last test that it began."""

    code: int | None
    last: str


class InOrder:
    """A pytest plugin that runs the tests in the order of `names`, and tells of each test before it begins."""

    def __init__(self, names: Sequence[str], out: int) -> None:
        self._place = {name: place for place, name in enumerate(names)}
        self._out = out

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.nodeid in self._place]
        items.sort(key=lambda item: self._place[item.nodeid])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        os.write(self._out, f"{nodeid}\n".encode())


def run_tests(
    root: Path, environment: dict[str, str], arguments: Sequence[str], plugins: Sequence[Any], log: Path
) -> int:
    """Run pytest in this process, which is a child made for it, and return its exit code."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(root)
    os.environ.update(environment)
    sys.path[:] = [str(root), *(entry for entry in sys.path if entry not in ("", os.getcwd()))]
    sys.dont_write_bytecode = True
    return int(pytest.main([*OPTIONS, *arguments], plugins=list(plugins)))


def fork_tests(
    root: Path, environment: dict[str, str], names: Sequence[str], times: Sequence[float], log: Path
) -> Ended:
    """Run the tests `names` in a child, in this order, to the first that fails.

    `times` has the seconds that each of them took without a mutant: ten times that and ten seconds is what it gets.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 3
        try:
            os.setsid()
            os.close(reader)
            files = list(dict.fromkeys(name.partition("::")[0] for name in names))
            code = run_tests(root, environment, ["-x", *files], [InOrder(names, writer)], log)
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(code)
    os.close(writer)
    allowed = {name: 10 + 10 * seconds for name, seconds in zip(names, times, strict=True)}
    last, timed_out = _follow(reader, allowed)
    os.close(reader)
    ended, status = os.waitpid(child, os.WNOHANG)
    timed_out = timed_out and not ended  # else something that it started keeps the pipe open
    if timed_out:
        os.killpg(child, signal.SIGKILL)
    if not ended:
        _, status = os.waitpid(child, 0)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what the tests have started and left
    code = os.waitstatus_to_exitcode(status)
    return Ended(None if timed_out else code, last)


def _follow(reader: int, allowed: dict[str, float]) -> tuple[str, bool]:
    """Read the names of begun tests until the child closes the pipe; return the last, and whether it took too long."""
    last, rest = "", b""
    until = time.monotonic() + COLLECTED_WITHIN_S
    while True:
        ready, _, _ = select.select([reader], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return last, True
        data = os.read(reader, 65536)
        if not data:
            return last, False
        *lines, rest = (rest + data).split(b"\n")
        if lines:
            last = lines[-1].decode()
            until = time.monotonic() + allowed[last]
