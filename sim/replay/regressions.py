"""Kept runs that are played before others: those that come with voxpool, and those that swarms kept in a folder.

A case is a folder as replay/case.py writes it. A run that failed once is the likeliest one to fail again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.small_file import read_json
from voxpool.sim.replay.case import Found, read_case, run_case, write

SHIPPED = Path(__file__).parents[1] / "regressions"
"""The cases that come with voxpool: each showed a defect that is mended."""
CASES = ("shrunk.json", "case.json")
"""The files of a folder that are played, the quickest first."""
SCHEDULE = "schedule.json"
"""The file of a kept schedule of `voxpool-sim explore`."""


class KeptRun(NamedTuple):
    """A kept run that was played again; without `signs` it holds."""

    file: Path
    signs: list[str]
    about: str
    """The defect that it showed."""


def play_kept(folder: Path, store: str = "memory", names: str = "*") -> Iterator[KeptRun]:
    """Play the kept runs in the folders `names` of `folder`, in order; those on the wire in memory.

    Raises ConfigError for a file that is no case.
    """
    for place in sorted(folder.glob(names)):
        files = [place / name for name in CASES if (place / name).is_file()]
        if files:
            yield _play(files, store)


def _play(files: list[Path], store: str) -> KeptRun:
    signs: list[str] = []
    for file in files:
        case = read_case(file, store)
        if case.scenario.ends == "wire":
            case = msgspec.structs.replace(case, store="memory")
        signs = run_case(case)[0].signs
        if signs:
            return KeptRun(file, signs, about(file.parent))
    return KeptRun(files[-1], [], about(files[0].parent))


def about(folder: Path) -> str:
    """Return what the run in `folder` showed when it was kept."""
    path = folder / "found.json"
    if not path.is_file():
        return ""
    found = read_json(path, Found)
    return found.why or ", ".join(found.signs[:1])


def add(folder: Path, why: str, to: Path = SHIPPED) -> Path:
    """Copy the kept run or schedule in `folder` to the store `to`, with `why`, and return its folder there.

    Its smaller case, if there is one, becomes the case. Raises ConfigError when there is nothing to copy, or when the
    store has it already.
    """
    kept = [name for name in (*CASES, SCHEDULE) if (folder / name).is_file()]
    if not kept:
        raise ConfigError(f"{folder}: has neither {CASES[1]} nor {SCHEDULE}")
    place = to / folder.resolve().name
    found = read_json(folder / "found.json", Found) if (folder / "found.json").is_file() else Found([])
    try:
        place.mkdir(parents=True)
        shutil.copyfile(folder / kept[0], place / (SCHEDULE if kept[0] == SCHEDULE else CASES[1]))
        write(place / "found.json", msgspec.structs.replace(found, details=[], why=why))
    except FileExistsError:
        raise ConfigError(f"{place}: exists already") from None
    except OSError as error:
        raise ConfigError(f"{place}: {error.strerror}") from None
    return place
