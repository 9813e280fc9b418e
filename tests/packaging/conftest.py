"""The wheel, and the environments that it is installed in: each is made once, for the first test that uses it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import wait_until
from tests.packaging.installation import Installation, build_wheel


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Installation:
    """The installation of a client or a worker."""
    return Installation(tmp_path_factory.mktemp("base"), wheel, "")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Installation:
    return Installation(tmp_path_factory.mktemp("server"), wheel, "[server]")


@pytest.fixture(scope="session")
def sim(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Installation:
    """The wheel beside the packages of this environment: test_extras.py has what the extra must bring."""
    return Installation(tmp_path_factory.mktemp("sim"), wheel, "[sim]", borrowed=True)


@pytest.fixture(scope="session")
def whole_sim(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Installation:
    return Installation(tmp_path_factory.mktemp("whole_sim"), wheel, "[sim]", compiled=False)


@pytest.fixture
def scheduler(server: Installation) -> Iterator[str]:
    """The URL of a scheduler with its own Valkey, run from the environment `server`."""

    def started() -> list[str]:
        lines = [json.loads(line) for line in server.output_of("serve").splitlines() if line.startswith("{")]
        return [line["url"] for line in lines if line["event"] == "scheduler_started"]

    with server.running("voxpool", "serve", "--port", "0", "--state-dir", str(server.folder / "state")) as process:
        wait_until(lambda: started() or process.poll() is not None)
        assert process.poll() is None, server.output_of("serve")
        yield started()[0]
    assert process.returncode == 0, server.output_of("serve")
