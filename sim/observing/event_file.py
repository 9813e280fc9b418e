"""Writes every event of a run with its time, one a line, so that two runs can be compared by `voxpool-sim diff`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from voxpool.sim.observing.trace import Trace

if TYPE_CHECKING:
    from voxpool.sim.world.observed_world import ObservedWorld


class EventFile(Trace):
    """A trace whose events are lines of `file`: the virtual second to the last bit of the float, and the event."""

    def __init__(self, file: TextIO, world: ObservedWorld) -> None:
        super().__init__(world.env)
        self._file = file

    def __enter__(self) -> EventFile:
        """Write from now on."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Write the events after the last change."""
        self.instant_over()

    def instant_over(self) -> None:
        """Write the events since the last instant with a change."""
        for at_s, event in zip(self._moments, self._lines, strict=True):
            self._file.write(f"{at_s!r} {event}\n")
        del self._moments[:], self._lines[:]
