"""A simulation on a Redis with a password: none of its files and none of its output contains the password."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import RedisServer

pytestmark = pytest.mark.timeout(300)
PASSWORD = "geheim-7"
SMALL = """
name = "small"
duration_s = 1
[[nodes]]
count = 1
pairs = ["zh:en"]
[[traffic]]
pair = "zh:en"
rate_per_s = 2
arrivals = "even"
work_s = 0.1
[expect]
completed_jobs = ">= 1000"
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[str]:
    """The URL of a Redis, with a password; a default user without a password accepts any."""
    server = RedisServer(tmp_path)
    server.start()
    try:
        yield server.url.replace("redis://", f"redis://default:{PASSWORD}@")
    finally:
        server.kill()


def shell(line: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a shell line in `folder` with the commands of this environment."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **variables}
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, timeout=110, check=False
    )


def test_a_failing_run_stores_no_password_and_says_how_to_pass_it(store: str, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "small.toml").write_text(SMALL)
    ran = shell(f"voxpool-sim run small.toml --store '{store}' --out out --json report.json", folder)
    assert ran.returncode == 1, ran.stderr
    assert PASSWORD not in ran.stdout + ran.stderr
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert {"case.json", "shrunk.json", "trace.json", "report.json", "report.html"} <= {file.name for file in files}
    assert [file for file in files if PASSWORD.encode() in file.read_bytes()] == []
    hidden = store.replace(f"default:{PASSWORD}", "***")
    assert json.loads((folder / "out" / "case.json").read_text())["store"] == hidden
    again = ran.stdout.splitlines()[-1].removeprefix("again: ")
    assert hidden in again and "VOXPOOL_STORE" in again
    pasted = shell(again, folder, VOXPOOL_STORE=store)
    assert pasted.returncode == 1 and "it fails as before" in pasted.stdout, pasted.stdout + pasted.stderr
    without = shell(again, folder, VOXPOOL_STORE="")
    assert without.returncode == 3 and "--store" in without.stderr, without.stdout + without.stderr
