"""Compares leakgate's assert_no_leak with psleak and pytest-memray on the same four leaks and their fixes.

    pip install psleak pytest-memray pytest msgspec numpy scipy httpx prometheus-client  # in an environment of its own
    python -m bench.leak_finders

Each case is a pytest process of its own with the tool's defaults; a leak counts as found when the test fails.
docs/leakgate.md has the table.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LEAKS = ("table", "hidden", "native", "task")
TIMES = 600
HEAD = """
import asyncio
from tests.leakgate.four_leaks import LEAKS, Shop, in_a_loop
shop = Shop()
work = LEAKS[{leak!r}](shop, {mended})
loop = asyncio.new_event_loop()
step = in_a_loop(work)
call = (lambda: loop.run_until_complete(step())) if {leak!r} == "task" else work
"""
TOOLS = {
    "leakgate": "def test_it(assert_no_leak):\n    assert_no_leak(step if {leak!r} == 'task' else call)\n",
    "psleak": "import psleak\n\nclass TestIt(psleak.MemoryLeakTestCase):\n"
    "    def test_it(self):\n        self.execute(call)\n",
    "memray limit_leaks": "import pytest\n\n@pytest.mark.limit_leaks('20 KB')\ndef test_it():\n"
    f"    for _ in range({TIMES}):\n        call()\n",
    "memray limit_leaked_objects": "import pytest\n\n@pytest.mark.limit_leaked_objects\ndef test_it():\n"
    f"    for _ in range({TIMES}):\n        call()\n",
}
PLUGINS = {"leakgate": "voxpool.leakgate.pytest_plugin"}


def main() -> None:
    """Print the table."""
    names = ("psleak", "pytest-memray", "memray")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in names]
    print(f"Python {sys.version.split()[0]}, {', '.join(versions)}, {TIMES} calls\n")
    print("| tool | " + " | ".join(f"{leak} | mended" for leak in LEAKS) + " | seconds |")
    print("|---" * (2 * len(LEAKS) + 2) + "|")
    for tool, test in TOOLS.items():
        cells, begin_s = [], time.monotonic()
        for leak in LEAKS:
            for mended in (False, True):
                cells.append(outcome(tool, HEAD.format(leak=leak, mended=mended) + test.format(leak=leak), mended))
        seconds = (time.monotonic() - begin_s) / len(cells)
        print(f"| {tool} | " + " | ".join(cells) + f" | {seconds:.1f} |", flush=True)


def outcome(tool: str, text: str, mended: bool) -> str:
    """Run one test and return its outcome under the tool."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "test_it.py"
        file.write_text(text)
        env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        if tool == "psleak":
            env["PYTHONMALLOC"] = "malloc"  # psleak demands it
        options = ["-p", PLUGINS[tool]] if tool in PLUGINS else ["--memray"] if "memray" in tool else []
        command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", folder, *options, str(file)]
        done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=600)
    if done.returncode not in (0, 1) or "skipped" in done.stdout:
        return "could not run"
    if done.returncode == 0:
        return "passed" if mended else "**not found**"
    return "**false alarm**" if mended else "found"


if __name__ == "__main__":
    main()
