"""Settings of all tests that keep them independent of the machine and of the shell that runs them."""

import functools
import gc
import os
import signal
import ssl
from collections.abc import Generator
from typing import Any

import httpx
import pytest
from httpx._transports import default as httpx_transports
from hypothesis import HealthCheck, settings

# A busy machine must not fail a test, and a failure must come from a change: random examples are for `make test-large`.
settings.register_profile("voxpool", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("voxpool")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that runs the tests in the background made the processes of tests ignore the Ctrl-C that they test.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@functools.cache
def public_certificates() -> ssl.SSLContext:
    """Return the context of HTTPS clients that know the public certificates."""
    return httpx.create_ssl_context(trust_env=False)


def tls_context(verify: ssl.SSLContext | str | bool = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
    """Do as httpx does, but read the public certificates once: for each request of a waiting test it takes 9 ms."""
    named = trust_env and {"SSL_CERT_FILE", "SSL_CERT_DIR"} & os.environ.keys()
    if verify is True and cert is None and not named:
        return public_certificates()
    return httpx.create_ssl_context(verify, cert, trust_env)


httpx_transports.create_ssl_context = tls_context  # type: ignore[attr-defined]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run tests marked `early` first, so that no worker is left with one of them at the end."""
    items.sort(key=lambda item: item.get_closest_marker("early") is None)


def pytest_collection_finish() -> None:
    """Freeze imported and collected objects: they stay, and each full collection would visit them again."""
    gc.collect()
    gc.freeze()


def pytest_runtest_teardown() -> None:
    """Freeze them again after an experiment that unfroze them; else each later collection takes a second."""
    if not gc.get_freeze_count():
        pytest_collection_finish()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn off collection while a traceback is formatted: a finaliser that warns would parse source inside the parser.

    Python 3.11 raises a SystemError then (python/cpython#106905), which ends the whole run.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
