"""The names of nodes whose home is a partition: a name is at one scheduler only (lua/jobs/nodes.lua). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

from voxpool.scheduler.shared.partition.calls import NameCall, Said

LEFT_MAX = 1000
"""Nodes that have left and are remembered; more than leave in the time of the writes that a fail-over loses."""


class NameHolder(Protocol):
    """The connection of a node that wants its name."""

    def named(self) -> None:
        """The name is this connection's; called again after the store has lost data."""
        ...

    def refused(self) -> None:
        """Another process is connected under the name at another scheduler."""
        ...

    def replaced(self) -> None:
        """The node has connected to another scheduler since."""
        ...

    def probe(self) -> None:
        """Another process wants the name: close the connection unless it answers, and leave."""
        ...


@dataclass(eq=False, slots=True)
class _Name:
    number: int
    process: str
    holder: NameHolder
    again: bool = False


class Names:
    """The nodes here, and what the store has to learn of them."""

    def __init__(self) -> None:
        self._names: dict[str, _Name] = {}
        self._changed: dict[str, NameCall] = {}
        self._left: dict[str, int] = {}
        """The last nodes that are not here any more, and their numbers: a store that has lost writes may have them."""
        self._numbers = 0

    def __len__(self) -> int:
        return len(self._names)

    @property
    def has_changes(self) -> bool:
        """Whether there is something to send."""
        return bool(self._changed)

    def join(self, node_id: str, process: str, holder: NameHolder) -> None:
        """`process` has connected as the node, in place of an older connection here."""
        self._numbers += 1
        name = self._names[node_id] = _Name(self._numbers, process, holder)
        self._left.pop(node_id, None)
        self._changed[node_id] = NameCall(node_id, name.number, process, again=False)

    def leave(self, node_id: str) -> None:
        """The present connection of the node has ended."""
        self._drop(node_id)

    def ask_again(self) -> None:
        """The store may have lost them, or given them to others."""
        for node_id, name in self._names.items():
            if node_id not in self._changed:
                self._changed[node_id] = NameCall(node_id, name.number, name.process, name.again)
        for node_id, number in self._left.items():
            self._changed.setdefault(node_id, NameCall(node_id, number, "", again=False))

    def take_changes(self, most: int) -> list[NameCall]:
        """Return the next rows to be sent."""
        rows = [self._changed.pop(node_id) for node_id in list(self._changed)[:most]]
        for row in rows:
            name = self._names.get(row.node_id)
            if name is not None and name.number == row.number:
                name.again = True  # if its answer is lost, this row is repeated; a later one must not take it back
        return rows

    def answered(self, rows: Sequence[NameCall], answer: Sequence[str]) -> None:
        """The answer to `rows` has come."""
        for row, word in zip(rows, answer[::2], strict=True):
            name = self._names.get(row.node_id)
            if not row.process or name is None or name.number != row.number:
                continue
            if word == Said.OK:
                name.holder.named()
            else:
                self._drop(row.node_id)
                name.holder.refused()

    def replaced(self, rest: str) -> None:
        """A message: NODE|NUMBER has come to another scheduler."""
        name = self._meant(rest)
        if name is not None:
            self._drop(rest.partition("|")[0])
            name.holder.replaced()

    def probed(self, rest: str) -> None:
        """A message: another process wants the name of NODE|NUMBER."""
        name = self._meant(rest)
        if name is not None:
            name.holder.probe()

    def _drop(self, node_id: str) -> _Name | None:
        name = self._names.pop(node_id, None)
        if name is not None:
            # Also when another has it: a row of before may be on its way, or wait here.
            self._changed[node_id] = NameCall(node_id, name.number, "", again=False)
            self._left[node_id] = name.number
            if len(self._left) > LEFT_MAX:
                del self._left[next(iter(self._left))]
        return name

    def _meant(self, rest: str) -> _Name | None:
        node_id, number = rest.split("|")
        name = self._names.get(node_id)
        return name if name is not None and name.number == int(number) else None


def home_of(node_id: str, partitions: int) -> int:
    """Return the partition that keeps the name of a node."""
    return crc32(node_id.encode()) % partitions
