"""A load run as a user starts it: `locust -f loadtest/` in a process of its own, and the report that it leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE_S = 90.0


class LoadRun:
    """A run without a page; its report goes into a folder below `folder`. `end` waits for it."""

    def __init__(self, folder: Path, host: str, *flags: str) -> None:
        self.out = folder / "load"
        self._log = (folder / "load.log").open("w+b")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("VOXPOOL", "LOCUST"))}
        self.popen = subprocess.Popen(
            [
                *(sys.executable, "-m", "locust", "-f", "loadtest/", "--headless"),
                *("--host", host, "--out", str(self.out), *flags),
            ],
            stdout=self._log,
            stderr=self._log,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
        )

    def end(self) -> int:
        """Wait for its end and return its exit code; one that does not end is killed, with all its processes."""
        try:
            return self.popen.wait(PATIENCE_S)
        except BaseException:
            os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()
            raise
        finally:
            self._log.close()

    @property
    def text(self) -> str:
        """What it has printed so far."""
        return (self.out.parent / "load.log").read_text()

    @property
    def report(self) -> dict[str, Any]:
        """The report that it wrote."""
        found: dict[str, Any] = json.loads((self.out / "report.json").read_text())
        return found

    def operations(self) -> dict[str, dict[str, Any]]:
        """What was counted, by "type name"."""
        return {f"{one['type']} {one['name']}": one for one in self.report["operations"]}

    def errors(self) -> dict[str, int]:
        """How often each went wrong, by "type name: reason"."""
        return {f"{one['type']} {one['name']}: {one['reason']}": one["count"] for one in self.report["errors"]}
