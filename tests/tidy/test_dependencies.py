"""The environment matches the lock, and each check of the audit finds planted violations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.tidy import dependencies
from tests.tidy.dependencies import Package, differences, installed, pinned, unknown_licences, vulnerable

HASHES = " \\\n    --hash=sha256:ab \\\n    --hash=sha256:cd\n"
LOCK = HASHES.join(
    ("alpha==1.2", "beta-two==0.9.post1 ; python_full_version >= '3'", "gamma==1 ; python_full_version < '3'", "")
)
FINE = [
    Package("alpha", "1.2"),
    Package("beta-two", "0.9.post1"),
    Package("pip", "99"),
    Package("voxpool", "0", url="x"),
]


def test_the_environment_matches_the_lock() -> None:
    assert differences(installed(), pinned((dependencies.ROOT / "requirements.lock").read_text())) == []


def test_all_licences_are_known() -> None:
    assert unknown_licences(installed()) == []
    assert {package.name for package in installed()} >= set(dependencies.LICENCES_READ)


def test_an_environment_that_matches_the_lock_passes() -> None:
    assert differences(FINE, pinned(LOCK)) == []


@pytest.mark.parametrize(
    ("packages", "line"),
    [
        (FINE[1:], "alpha 1.2 of requirements.lock is not installed"),
        ([Package("alpha", "1.3"), *FINE[1:]], "alpha is 1.3, not 1.2"),
        ([*FINE, Package("gamma", "1")], "gamma 1 is not in requirements.lock"),
        ([Package("alpha", "1.2", url="git+https://example.org/a"), *FINE[1:]], "comes from git+https://example.org/a"),
    ],
)
def test_a_difference_is_found(packages: list[Package], line: str) -> None:
    assert [line in wrong for wrong in differences(packages, pinned(LOCK))] == [True]


@pytest.mark.parametrize("licence", ["", "GPL-3.0-only", "MIT AND AGPL-3.0", "UNKNOWN", "Proprietary License"])
def test_an_unknown_licence_is_found(licence: str) -> None:
    assert unknown_licences([Package("a", "1", licence)]) != []


@pytest.mark.parametrize("licence", ["MIT License", "MPL-2.0 AND (Apache-2.0 OR MIT)", "DFSG approved; MIT License"])
def test_a_known_licence_passes(licence: str) -> None:
    assert unknown_licences([Package("a", "1", licence)]) == []


def advisory(**more: Any) -> dict[str, Any]:
    """A record of OSV: versions from 1.0 until before 1.3 are affected, and from 2.0 to 2.1."""
    events = [{"introduced": "1.0"}, {"fixed": "1.3"}, {"introduced": "2.0"}, {"last_affected": "2.1"}]
    affected = {"package": {"ecosystem": "PyPI", "name": "Alpha"}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    return {"id": "PLANTED-1", "summary": "it is planted", "affected": [affected], **more}


@pytest.mark.parametrize(
    ("version", "found"),
    [("0.9", 0), ("1.0", 1), ("1.2.9", 1), ("1.3rc1", 1), ("1.3", 0), ("1.10", 0), ("2.0", 1), ("2.1", 1), ("2.2", 0)],
)
def test_a_planted_advisory_is_found_for_the_versions_that_it_names(version: str, found: int) -> None:
    assert len(vulnerable([Package("alpha", version), Package("beta", "1.0")], [advisory()])) == found


def test_versions_may_be_listed_and_an_advisory_may_be_withdrawn() -> None:
    listed = {"package": {"ecosystem": "PyPI", "name": "beta"}, "versions": ["1.0"]}
    assert len(vulnerable([Package("beta", "1.0")], [advisory(affected=[listed])])) == 1
    assert vulnerable([Package("alpha", "1.0")], [advisory(withdrawn="2026-01-01T00:00:00Z")]) == []
    elsewhere = {"package": {"ecosystem": "npm", "name": "alpha"}, "versions": ["1.0"]}
    assert vulnerable([Package("alpha", "1.0")], [advisory(affected=[elsewhere])]) == []


def test_the_command_prints_its_findings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dependencies.main([]) == 0
    assert "no advisories given" in capsys.readouterr().out
    assert dependencies.main([str(tmp_path)]) == 3
    package = next(package for package in installed() if package.name == "starlette")
    affected = {"package": {"ecosystem": "PyPI", "name": "starlette"}, "versions": [package.version]}
    (tmp_path / "PLANTED-1.json").write_text(json.dumps(advisory(affected=[affected])))
    assert dependencies.main([str(tmp_path)]) == 1
    assert f"starlette {package.version}: PLANTED-1: it is planted" in capsys.readouterr().out
