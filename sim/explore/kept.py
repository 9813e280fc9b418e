"""Kept schedules: a failing order of steps is written to a folder, and played before the next search of its flow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from voxpool.scheduler.small_file import read_json
from voxpool.sim.explore.model.flow import Flow
from voxpool.sim.explore.model.running import Run, follow
from voxpool.sim.explore.search.schedule import WrongSchedule, from_text, to_text
from voxpool.sim.replay.case import Found, write
from voxpool.sim.replay.regressions import SCHEDULE, KeptRun, about
from voxpool.sim.world.variant import Variant


class KeptSchedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A schedule of a flow, in the text of search/schedule.py."""

    flow: str
    schedule: str


def keep(flow: str, run: Run, folder: Path) -> Path:
    """Write the schedule of the failing `run` to a folder below `folder`, and return its file."""
    place = folder / f"explore-{flow}"
    place.mkdir(parents=True, exist_ok=True)
    write(place / SCHEDULE, KeptSchedule(flow, to_text(run.schedule)))
    write(place / "found.json", Found(signs=list(run.broken)))
    return place / SCHEDULE


def play_kept(flows: Mapping[str, Flow], folders: Sequence[Path]) -> Iterator[KeptRun]:
    """Run the kept schedules of `flows`."""
    for folder in folders:
        for file in sorted(folder.glob(f"*/{SCHEDULE}")):
            kept = read_json(file, KeptSchedule)
            if kept.flow in flows:
                try:
                    run = follow(flows[kept.flow].execution_of(Variant()), from_text(kept.schedule))
                except WrongSchedule:
                    yield KeptRun(file, [], f"{about(file.parent)} (not played: the flow has no such order any more)")
                else:
                    yield KeptRun(file, list(run.broken), about(file.parent))
