"""bandit, as run by `make lint`, finds planted weaknesses: its configuration does not skip too much."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLANTED = {
    "B602": "import subprocess\nsubprocess.run(command, shell=True)\n",
    "B301": "import pickle\npickle.loads(data)\n",
    "B307": "eval(text)\n",
    "B324": "import hashlib\nhashlib.md5(secret)\n",
    "B501": "import httpx\nhttpx.get(url, verify=False)\n",
    "B110": "try:\n    work()\nexcept Exception:\n    pass\n",
    "B104": "host = '0.0.0.0'\n",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """Return (file, id) of each finding of bandit in a folder with a file for each bug."""
    folder = tmp_path_factory.mktemp("planted")
    for bug, text in PLANTED.items():
        (folder / f"{bug}.py").write_text(text)
    command = [
        sys.executable,
        "-m",
        "bandit",
        "-q",
        "-f",
        "json",
        "-c",
        str(ROOT / "pyproject.toml"),
        "-r",
        str(folder),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 1, "findings fail the lint"
    return {(Path(one["filename"]).stem, one["test_id"]) for one in json.loads(ran.stdout)["results"]}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_weakness_is_found(found: set[tuple[str, str]], bug: str) -> None:
    assert (bug, bug) in found
