"""The lines that `voxpool-sim list` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from voxpool.sim.checkers import CHECKERS
from voxpool.sim.cli.play import SCENARIOS
from voxpool.sim.faults import FAULTS
from voxpool.sim.faults.wire import WIRE_FAULTS

if TYPE_CHECKING:
    from voxpool.sim.experiments.experiment import Experiment


def listing(what: str | None, experiments: Mapping[str, Experiment]) -> Iterator[str]:
    """Yield the lines of one list, or of all, each with its title."""
    lists = {
        "scenarios": {
            path.stem: _first_comment(path.read_text(encoding="utf-8")) for path in sorted(SCENARIOS.glob("*.toml"))
        },
        "faults": {name: kind.what for name, kind in FAULTS.items()},
        "faults of the wire": {name: kind.what for name, kind in WIRE_FAULTS.items()},
        "checkers": {checker.sentence: " ".join((checker.__doc__ or "").split()) for checker in CHECKERS},
        "experiments": {name: experiment.question for name, experiment in experiments.items()},
    }
    for title, items in lists.items():
        if what is None or title.startswith(what):
            if what != title:
                yield f"{title}:"
            width = max((len(name) for name in items), default=0)
            for name, about in items.items():
                yield f"  {name:{width}}  {about}"


def _first_comment(text: str) -> str:
    first = text.split("\n", 1)[0]
    return first.removeprefix("#").strip() if first.startswith("#") else ""
