"""The audit of installed packages, without a network. ¶ Do they match requirements.lock, do they come from an index, is
their licence known; and, with a folder of advisories, is any of them known to be vulnerable?

`make audit ADVISORIES=FOLDER` reads records of OSV (one JSON file each, as in the export of the ecosystem PyPI that
osv.dev offers); without them it can't know vulnerabilities published since the versions were pinned, nor yanked
releases.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).parents[2]
OURS = "voxpool"
TOOLS = frozenset({"pip", "setuptools", "wheel"})
"""Packages of a new environment."""
LICENCES = re.compile(
    r"MIT(-0|-CMU| style)?|BSD(-[23]-Clause)?|3-Clause BSD|Apache([- ]2\.0)?|Apache Software|ISC|ISCL|0BSD|Zlib"
    r"|CC0-1\.0|MPL-2\.0|MPL 2\.0|Mozilla Public 2\.0|PSF-2\.0|Python Software Foundation|ZPL-2\.1|DFSG approved"
)
"""Licences under which a package may be used and redistributed in a program under any licence."""
LICENCES_READ = {
    "axe-playwright-python": "MIT, in the file LICENSE of its distribution; a tool of the tests",
}
"""Packages without a licence in their metadata, and where it was read."""


@dataclass(frozen=True)
class Package:
    """One installed package; `licence` is from its metadata, `url` its source unless it comes from an index."""

    name: str
    version: str
    licence: str = "MIT"
    url: str = ""


def installed() -> list[Package]:
    """Return the packages of this environment."""
    return [_package(found) for found in distributions()]


def requirements_of(lock: str) -> list[str]:
    """Return the requirements of a lock, each with its marker and its hashes in one line."""
    return re.sub(r" \\\n *", " ", lock).splitlines()


def pinned(lock: str) -> dict[str, str]:
    """Return name -> version of the requirements of a lock whose marker applies to this Python and machine."""
    versions: dict[str, str] = {}
    for line in requirements_of(lock):
        requirement, _, marker = line.partition(" --hash=")[0].partition(" ; ")
        name, _, version = requirement.partition("==")
        if not marker or Marker(marker).evaluate():
            versions[canonicalize_name(name)] = version
    return versions


def differences(packages: Iterable[Package], versions: dict[str, str]) -> list[str]:
    """Return the differences between `packages` and the lock, each with what to do."""
    wrong = []
    missing = dict(versions)
    for package in packages:
        if package.name == OURS or package.name in TOOLS:
            continue
        version = missing.pop(package.name, None)
        if version is None:
            wrong.append(f"{package.name} {package.version} is not in requirements.lock: remove it, or scripts/lock.sh")
        elif version != package.version:
            wrong.append(f"{package.name} is {package.version}, not {version} as in requirements.lock: make setup")
        if package.url:
            wrong.append(f"{package.name} comes from {package.url}, not from an index")
    return wrong + [
        f"{name} {version} of requirements.lock is not installed: make setup" for name, version in missing.items()
    ]


def unknown_licences(packages: Iterable[Package]) -> list[str]:
    """Return the packages whose licence isn't among LICENCES."""
    wrong = []
    for package in packages:
        words = re.split(r" AND | OR |; |[()]", package.licence.replace(" License", "").replace("The ", ""))
        names = [word.strip() for word in words if word.strip()]
        if package.name not in LICENCES_READ and not (names and all(LICENCES.fullmatch(name) for name in names)):
            wrong.append(f"{package.name}: licence {package.licence!r} is none of those known: read it, then add it")
    return wrong


def vulnerable(packages: Iterable[Package], records: Iterable[dict[str, Any]]) -> list[str]:
    """Return the packages that a record of OSV names with their version; withdrawn records don't count."""
    here = {package.name: package.version for package in packages}
    return [
        f"{name} {here[name]}: {record['id']}: {record.get('summary', 'no summary')}"
        for record in records
        if "withdrawn" not in record
        for affected in record.get("affected", [])
        if affected.get("package", {}).get("ecosystem") == "PyPI"
        and (name := canonicalize_name(affected["package"]["name"])) in here
        and _is_affected(here[name], affected)
    ]


def records_of(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the records in the JSON files of a folder."""
    for file in sorted(folder.glob("**/*.json")):
        record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        yield record


def _package(found: Distribution) -> Package:
    metadata = found.metadata
    classifiers = [word for word in metadata.get_all("Classifier") or [] if word.startswith("License ::")]
    says = _first(found, "License-Expression") or "; ".join(word.split(" :: ")[-1] for word in classifiers)
    licence = says or _first(found, "License").split("\n")[0]
    origin = json.loads(found.read_text("direct_url.json") or "{}")
    return Package(canonicalize_name(metadata["Name"]), found.version, licence, origin.get("url", ""))


def _first(found: Distribution, field: str) -> str:
    return next(iter(found.metadata.get_all(field) or []), "")


def _is_affected(version: str, affected: dict[str, Any]) -> bool:
    """Return whether a record means this version: it is listed, or in a range (OSV schema, affected[].ranges)."""
    if version in affected.get("versions", []):
        return True
    return any(
        _is_in(Version(version), entry["events"])
        for entry in affected.get("ranges", [])
        if entry["type"] == "ECOSYSTEM"
    )


def _is_in(version: Version, events: list[dict[str, str]]) -> bool:
    """Return whether the last event at or before `version` leaves it affected."""
    inside = False
    order = {"introduced": 0, "fixed": 1, "last_affected": 2}
    reported = [(kind, text) for event in events for kind, text in event.items() if kind in order]
    for kind, text in sorted(reported, key=lambda one: (_version(one[1]), order[one[0]])):
        at = _version(text)
        if kind == "introduced" and version >= at:
            inside = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            inside = False
    return inside


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")


def main(arguments: list[str]) -> int:
    """Print the findings; return 0 without any, 1 with some, 3 when the folder has no records."""
    packages = installed()
    wrong = differences(packages, pinned((ROOT / "requirements.lock").read_text())) + unknown_licences(packages)
    looked = "no advisories given: set ADVISORIES=FOLDER to look for known vulnerabilities"
    if arguments:
        records = list(records_of(Path(arguments[0])))
        if not records:
            sys.stdout.write(f"{arguments[0]}: no records of OSV in it\n")
            return 3
        wrong += vulnerable(packages, records)
        looked = f"{len(records)} advisories looked at"
    sys.stdout.writelines(f"{line}\n" for line in wrong)
    sys.stdout.write(f"{len(packages)} packages, {len(wrong)} findings; {looked}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
