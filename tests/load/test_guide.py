"""docs/prove-a-leak-fix.md is followed literally: its commands are executed, with shorter times."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.load.locust_run import ROOT
from voxpool.loadtest.options._options import LoadOptions
from voxpool.loadtest.report._records import LoadReport, read_report
from voxpool.scheduler.config import Settings

CODE = ("voxpool", "scheduler", "sim", "loadtest", "leakgate", "lua")
"""The parts of the tree that a load test needs."""
GUIDE = ROOT / "docs" / "prove-a-leak-fix.md"
PATCH = ROOT / "docs" / "a-leak.patch"
SHORTER = {
    "-u 200 -r 100 -t 8m": "-u 60 -r 60 -t 6m",
    "--retention-s 15 --cleanup-interval-s 3": "--retention-s 1 --cleanup-interval-s 0.5",
    "--until-clear 120": "--until-clear 5",
    "--until-clear 60": "--until-clear 5",
    "--audio-bytes 1000": "--audio-bytes 1000 --late-ms 5000",
}
"""The deviations of the test from the page.

They are shorter times, users to fit them, and the limit of late arrivals, since a test machine is busy.
"""
RUNS = ("git ", "locust ", "voxpool-load ")
"""The beginnings of the first commands of the executed blocks; `voxpool-sim leak` has tests of its own."""
OUTPUT = "…"
"""The line of a block after which it shows output."""


def blocks() -> list[str]:
    """Return the command blocks of the page."""
    found = re.findall(r"(?:^    .*\n)+", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    texts = [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in found]
    return [text.split(f"\n{OUTPUT}\n")[0] for text in texts if text.startswith(RUNS)]


def block_with(words: str) -> str:
    """Return the commands of the single block that contains `words`, with the shorter times."""
    (text,) = [block for block in blocks() if words in block]
    for long, short in SHORTER.items():
        text = text.replace(long, short)
    return text


class Reader:
    """Follows the page in its own repository, with harmless commits around the leak."""

    def __init__(self, folder: Path) -> None:
        self.tree = folder / "tree"
        for name in CODE:
            shutil.copytree(ROOT / name, self.tree / name, symlinks=True)  # with what is compiled: that takes seconds
        (self.tree / "docs").mkdir()
        shutil.copy(PATCH, self.tree / "docs")
        (self.tree / ".gitignore").write_text("out/\n__pycache__/\n")
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("VOXPOOL_", "LOCUST_", "GIT_"))
        }
        self.environment = kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.tree),
            **{
                f"GIT_{who}_{what}": "reader@example.org"
                for who in ("AUTHOR", "COMMITTER")
                for what in ("NAME", "EMAIL")
            },
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        self.does("git init -q -b main && git add . && git commit -qm 'The tree'")

    def tries(self, commands: str) -> subprocess.CompletedProcess[str]:
        """Execute commands in a shell that stops at the first failure."""
        return subprocess.run(
            ["bash", "-e", "-c", commands], cwd=self.tree, env=self.environment, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def does(self, commands: str) -> str:
        """Execute commands that must succeed; return their output."""
        done = self.tries(commands)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def commits(self, what: str) -> None:
        """Make a harmless commit."""
        self.does(f"echo {what} >> notes && git add notes && git commit -qm {what}")

    def plants_the_leak(self) -> str:
        """Follow the first block, with a commit before and one after the leak; return the leak's commit."""
        begin, *rest = block_with("git apply").splitlines(keepends=True)
        self.does(begin)
        self.commits("before")
        self.does("".join(rest))
        leak = self.does("git rev-parse HEAD").strip()
        self.commits("after")
        return leak

    def report(self, name: str) -> LoadReport:
        return read_report(self.tree / "out" / name)


@pytest.mark.early
@pytest.mark.timeout(300)
def test_the_leak_of_the_guide_fails_the_gate_and_is_named(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    reader.plants_the_leak()
    suspected = reader.tries(block_with("--out out/suspect"))
    assert suspected.returncode == 1, suspected.stdout
    memory = reader.report("suspect").memory
    assert memory is not None and memory.finding.verdict == "leak", suspected.stdout
    assert "table results._delivered" in [one.name for one in memory.finding.growing]


@pytest.mark.large
@pytest.mark.timeout(1800)
def test_bisect_names_the_commit_and_the_fix_is_proven(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    leak = reader.plants_the_leak()
    assert reader.tries(block_with("--out out/suspect")).returncode == 1
    message = reader.does(block_with("git bisect run"))
    assert f"{leak} is the first bad commit" in message, message
    fixed = reader.tries(block_with("--out out/fixed"))
    assert fixed.returncode == 0, fixed.stdout
    compared = reader.tries(block_with("voxpool-load compare"))
    assert compared.returncode in (0, 2), compared.stdout  # in this short time the difference may be unclear


@pytest.mark.parametrize(
    ("code", "report", "says"), [(0, 1, 0), (1, 1, 1), (2, 1, 125), (3, 1, 125), (0, 0, 125), (1, 0, 125)]
)
def test_a_bisect_step_is_good_or_bad_with_a_report_only(code: int, report: int, says: int, tmp_path: Path) -> None:
    """The recipe maps the exit codes of `locust` for git."""
    step = block_with("git bisect run").split("bash -c '", 1)[1].split("'\n", 1)[0]
    old = tmp_path / "out" / "bisect" / "report.json"
    old.parent.mkdir(parents=True)
    old.write_text("of the commit before")
    assert code_of(step, "bisect", code, report, tmp_path) == says


@pytest.mark.parametrize(("code", "report", "passes"), [(0, 1, True), (1, 1, False), (2, 1, False), (0, 0, False)])
def test_the_gate_in_ci_passes_with_0_and_a_report_only(code: int, report: int, passes: bool, tmp_path: Path) -> None:
    """Its load and its gate are those of the run that finds the leak."""
    guard, suspect = (block_with(f"--out out/{name}").split(" --out ")[0].split() for name in ("guard", "suspect"))
    guard.remove("--only-summary")
    assert guard == suspect
    assert (code_of(block_with("--out out/guard"), "guard", code, report, tmp_path) == 0) is passes


def code_of(commands: str, name: str, code: int, report: int, folder: Path) -> int:
    """Return the exit code of `commands`, with a `locust` that ends with `code` and may write the report of `name`."""
    write = f"echo {{}} > out/{name}/report.json" if report else ":"
    (folder / "locust").write_text(f"#!/bin/bash\nmkdir -p out/{name}\n{write}\nexit {code}\n")
    (folder / "locust").chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(["bash", "-c", commands], cwd=folder, env={**os.environ, "PATH": path}).returncode


def test_the_shorter_times_replace_those_of_the_page() -> None:
    text = "\n".join(blocks())
    assert all(long in text for long in SHORTER)
    for name in ("suspect", "bisect", "fixed", "guard"):
        assert "-t 6m" in block_with(f"--out out/{name}") and "--until-clear 5 " in block_with(f"--out out/{name}")


def test_the_guide_shows_existing_patches_and_commands() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    added = [line for line in PATCH.read_text(encoding="utf-8").splitlines() if line.startswith("+ ")]
    assert added and all(line.replace("+        ", "") in text for line in added)
    options = set(re.findall(r"(?<=\s)--[a-z-]+", "\n".join(re.findall(r"^    .*", text, re.MULTILINE))))
    known = {f"--{name.replace('_', '-')}" for name in LoadOptions.__struct_fields__}
    settings = {f"--{name.replace('_', '-')}" for name in Settings.__struct_fields__}
    of_others = {"--headless", "--only-summary", "--quick", "--no-edit", "--json", "--figure"}
    assert options <= known | settings | of_others
