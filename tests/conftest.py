"""For all tests: what must not depend on the machine, or on the shell, that runs them."""

import gc
import signal
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# A machine with much to do is no finding, and a failure shall come from a change: chance is for `make test-large`.
settings.register_profile("voxpool", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("voxpool")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that runs them in the background had the processes that tests start ignore the Ctrl-C that they test.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let those marked `early` begin: what a worker does last the others wait for."""
    items.sort(key=lambda item: item.get_closest_marker("early") is None)


def pytest_collection_finish() -> None:
    """Freeze what was imported and collected: it stays, and each full collection would visit it again."""
    gc.collect()
    gc.freeze()


def pytest_runtest_teardown() -> None:
    """Freeze it again after an experiment that unfroze it at its end; else each later collection takes a second."""
    if not gc.get_freeze_count():
        pytest_collection_finish()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Collect nothing while a traceback is formatted: a finaliser that warns would parse source inside the parser.

    Python 3.11 answers that with a SystemError (python/cpython#106905), which ends the whole run.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
