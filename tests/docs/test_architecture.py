"""docs/architecture.md: its layers are those of the import contracts, its walk is the real one, its patches apply."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from reference.pages import ROOT

TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PATCHES = sorted((ROOT / "docs" / "changes").glob("*.patch"))
NEEDED = (
    *("voxpool", "scheduler", "sim", "leakgate", "loadtest", "lua", "ops", "examples", "docs", "tests"),
    *("pyproject.toml",),
)
"""Parts of the tree that the tests of the patches need."""
FILES_MAX = 3
WALK_FILES_MAX = 20
CHANGES = {"policy", "fault", "checker", "metric", "engine", "http-field"}


def section(title: str) -> str:
    """Return the text of one section of the page."""
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    return str(found)


def layers_of_the_page() -> dict[str, list[list[str]]]:
    """Return package -> its layers from top to bottom, each with its names."""
    found = {}
    for package, table in re.findall(r"^`(voxpool[\w.]*)`\n\n\| layer.*\n\|.*\n((?:\|.*\n)+)", TEXT, re.MULTILINE):
        found[package] = [re.findall(r"`([\w.]+)`", line.split("|")[1]) for line in table.splitlines()]
    return found


def layers_of_the_contracts() -> dict[str, list[list[str]]]:
    """Return the same of pyproject.toml."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return {
        package: [[name.strip() for name in layer.split(":")] for layer in contract["layers"]]
        for contract in contracts
        if contract["type"] == "layers"
        for package in contract["containers"]
    }


def test_the_layers_are_those_of_the_import_contracts() -> None:
    assert layers_of_the_page() == layers_of_the_contracts()


def test_a_job_walks_through_the_files_of_the_page() -> None:
    """If this fails, a file is new on the way or no longer on it: update the page."""
    walk = section("The path of one job")
    handed_on = re.findall(r"^\d+\. `([\w/.]+)`", walk, re.MULTILINE)
    looked_into = re.findall(r"^- `([\w/.]+)`", walk, re.MULTILINE)
    reported = [int(count) for count in re.findall(r"These (\d+) files pass .* in (\d+) others", walk)[0]]
    assert [len(handed_on), len(looked_into)] == reported and sum(reported) <= WALK_FILES_MAX
    assert f"In all {sum(reported)} files" in walk
    done = subprocess.run(
        [sys.executable, "-m", "tests.docs.walk"], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    passed = json.loads(done.stdout)
    assert sorted(passed) == sorted([*handed_on, *looked_into])
    assert [file for file in passed if file in handed_on][:3] == handed_on[:3]


def files_of(patch: Path) -> tuple[list[str], list[str]]:
    """Return the files that a patch changes, and which of them are tests."""
    files = re.findall(r"^\+\+\+ b/(.*)$", patch.read_text(), re.MULTILINE)
    return files, [file for file in files if file.startswith("tests/")]


def test_the_page_has_each_change() -> None:
    assert {patch.stem for patch in PATCHES} == CHANGES
    assert set(re.findall(r"\(changes/([\w-]+)\.patch\)", TEXT)) == CHANGES


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_a_change_touches_three_files_at_most(patch: Path) -> None:
    files, tests = files_of(patch)
    assert tests and 1 <= len(files) - len(tests) <= FILES_MAX


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The source tree, copied."""
    for name in NEEDED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.png")
            shutil.copytree(ROOT / name, tmp_path / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_the_patches_apply_and_their_tests_pass(tree: Path) -> None:
    """Each patch applies to the current tree; their tests fail without them, and pass when all are applied."""
    for patch in PATCHES:
        assert run(tree, "git", "apply", "--check", str(patch)).returncode == 0, patch.name
    tests = [test for patch in PATCHES for test in files_of(patch)[1] if not (ROOT / test).exists()]
    assert len(tests) == len(PATCHES), "each brings one new test"
    for patch in PATCHES:
        assert run(tree, "git", "apply", "--include=tests/*", str(patch)).returncode == 0, patch.name
    before = pytest_on(tree, tests)
    assert before.returncode == 1 or "error" in before.stdout, before.stdout
    failed = set(re.findall(r"^(?:FAILED|ERROR) (tests/[\w/]+\.py)", before.stdout, re.MULTILINE))
    assert failed == set(tests), before.stdout
    for patch in PATCHES:
        assert run(tree, "git", "apply", "--exclude=tests/*", str(patch)).returncode == 0, patch.name
    after = pytest_on(tree, tests)
    assert after.returncode == 0, after.stdout + after.stderr


def run(tree: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the copy, outside any repository."""
    environment = os.environ | {"PYTHONPATH": str(tree), "GIT_CEILING_DIRECTORIES": str(tree.parent)}
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=100)


def pytest_on(tree: Path, tests: list[str]) -> subprocess.CompletedProcess[str]:
    """Run tests of the copy."""
    options = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--continue-on-collection-errors")
    return run(tree, sys.executable, "-m", "pytest", *options, *tests)
