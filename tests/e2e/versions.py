"""Versions of voxpool beside this one: copies of the source with other texts, each run from a tree of its own."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from tests.e2e.processes import Scheduler
from voxpool.scheduler.stores.cluster.job_stores import DATA_VERSION

ROOT = Path(__file__).parents[2]
LAUNCH = "import runpy\nrunpy.run_module('voxpool.scheduler', run_name='__main__', alter_sys=True)\n"


class Change(NamedTuple):
    """What a version has in place of a text that occurs once in a file of this one."""

    path: str
    old: str
    new: str


NAMED = Change("scheduler/__init__.py", '__version__ = "0.1.0"', '__version__ = "0.2.0"')
MORE_FIELDS = (
    Change(
        "scheduler/protocol/message_base.py",
        "omit_defaults=True):\n",
        "omit_defaults=True, kw_only=True):\n    news: str = msgspec.field(default_factory=lambda: 'sent each time')\n",
    ),
    Change("lua/jobs/_partition.lua", "local RECORDS, WAITING", "local NEWS = 1\nlocal RECORDS, WAITING"),
)
"""Every message, of both ends, has a field that this version does not know; every script of jobs has another SHA-1."""
OTHER_DATA = Change(
    "scheduler/stores/cluster/job_stores.py", f"DATA_VERSION = {DATA_VERSION}", f"DATA_VERSION = {DATA_VERSION + 1}"
)
OTHER_NAMES = Change("scheduler/shared/details.py", "DIGEST_BYTES = 15", "DIGEST_BYTES = 10")
"""A bug: the id of a job depends on the version."""


def version_of(folder: Path, *changes: Change) -> type[Scheduler]:
    """Write the tree of a version into `folder` and return its `voxpool serve`."""
    package = folder / "voxpool"
    shutil.copytree(ROOT / "voxpool", package, ignore=shutil.ignore_patterns("__pycache__", "sim", "loadtest"))
    shutil.copytree(ROOT / "lua", package / "lua")
    for change in changes:
        file = package / change.path
        text = file.read_text()
        assert text.count(change.old) == 1, change
        file.write_text(text.replace(change.old, change.new))
    launcher = folder / "serve.py"  # its folder is where imports are looked for first
    launcher.write_text(LAUNCH)
    return type("OtherVersion", (Scheduler,), {"program": (sys.executable, str(launcher))})
