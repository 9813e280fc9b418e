"""SIGTERM and SIGINT: the first ends a run with its report, the second at once; both end all child processes.

Locust alone would end at once on SIGTERM when it has a shape and no page, because it installs its handler too late.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable
from types import FrameType

import gevent
import psutil
from gevent.monkey import get_original

logger = logging.getLogger("voxpool.load")

NUMBERS = (signal.SIGTERM, signal.SIGINT)
SAME_S = 1.0
"""A second signal within this time counts as the first: timeout(1) signals its child and then the whole group."""
ORPHAN_LOOK_S = 1.0
LOOK_S = 0.05
GRACE_S = 3.0
"""Time for child processes to end after a second signal."""


class Signals:
    """Calls `first` with the name of the first signal, in a new greenlet."""

    def __init__(self, first: Callable[[str], None]) -> None:
        self._first = first
        self._first_s: float | None = None

    def listen(self) -> None:
        """Install the handlers; a previous one of SIGINT is replaced."""
        for number in NUMBERS:
            gevent.signal_handler(number, self._on_signal, number)

    def _on_signal(self, number: signal.Signals) -> None:
        if self._first_s is not None:
            if time.monotonic() - self._first_s < SAME_S:
                return
            logger.warning("%s again: ending at once", number.name)
            end_children()
            os._exit(128 + number)
        self._first_s = time.monotonic()
        self._first(number.name)


def ignore_first_interrupt() -> None:
    """Ignore Ctrl-C in a forked worker: its master receives it, too, and controls the worker."""

    def ignore(number: int, frame: FrameType | None) -> None:
        logger.debug("signal %s: left to the master", number)

    signal.signal(signal.SIGINT, ignore)


def end_with_parent(parent: int, end: Callable[[], None]) -> None:
    """Call `end` when the process `parent` is no longer our parent, so that workers end with a killed master."""
    while os.getppid() == parent:
        gevent.sleep(ORPHAN_LOOK_S)
    end()


def end_children() -> None:
    """Terminate all child processes, then kill the rest. It blocks this process."""
    for child in _running_children():
        _send(child, signal.SIGTERM)
    wait_for_children(GRACE_S, get_original("time", "sleep"))


def wait_for_children(within_s: float, sleep: Callable[[float], None] = gevent.sleep) -> None:
    """Return when no child process runs any more; those that still run after `within_s` are killed.

    It reaps none of them, because Locust must reap its workers.
    """
    end_s = time.monotonic() + within_s
    while (children := _running_children()) and time.monotonic() < end_s:
        sleep(LOOK_S)
    for child in children:
        _send(child, signal.SIGKILL)


def _running_children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if _runs(child)]


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):  # it has already ended
        process.send_signal(number)
