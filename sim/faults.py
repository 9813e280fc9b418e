"""What can break in a run: kinds of faults, each a beginning and its healing, and the process that strikes."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, NamedTuple

import simpy

from scheduler.errors import ConfigError
from sim.loop import VirtualLoop
from sim.nodes import DOWN, FROZEN, SimNode
from sim.scenario_errors import nearest
from sim.watch import Hub

if TYPE_CHECKING:
    from sim.scenario import Fault


class FaultKind(NamedTuple):
    """A kind of fault of one node: what it is in a sentence, how it begins and how it heals."""

    what: str
    begin: Callable[[SimNode], None]
    heal: Callable[[SimNode], None]


def _start(node: SimNode) -> None:
    if node.state == DOWN:
        node.start()


def _thaw(node: SimNode) -> None:
    if node.state == FROZEN:
        node.thaw()


def _end_restart(node: SimNode) -> None:
    """Its time to leave in order is over: what still runs dies."""
    if node.state != DOWN:
        node.crash()
    node.start()


FAULTS: dict[str, FaultKind] = {
    "node_crash": FaultKind("the process dies and its socket closes; it starts again", SimNode.crash, _start),
    "node_restart": FaultKind(
        "it drains, ends what it runs within the fault's time, closes, and starts again", SimNode.leave, _end_restart
    ),
    "node_freeze": FaultKind("the process stands still (a pause) and goes on where it stood", SimNode.freeze, _thaw),
    "node_vanish": FaultKind("the machine is gone and nobody is told; it comes back empty", SimNode.vanish, _start),
}


def check_kind(kind: str, place: str) -> None:
    """Raise ConfigError unless there is such a kind of fault."""
    if kind not in FAULTS:
        raise ConfigError(f"{place} = {kind!r}: {nearest(kind, FAULTS)}")


class Faults:
    """All faults of a run. A node has at most one at a time; one that strikes a broken node is left out."""

    def __init__(self, loop: VirtualLoop, hub: Hub, nodes: list[SimNode]) -> None:
        self.begun = 0
        self.healed = 0
        self._loop = loop
        self._hub = hub
        self._nodes = nodes
        self._broken: dict[SimNode, str] = {}
        self._is_over = False

    def strike(self, fault: Fault, duration_s: float, rng: random.Random) -> None:
        """Let `fault` strike all nodes of the run at its rate, each time one that is drawn."""
        self._loop.env.process(self._striking(fault, duration_s, rng))

    def _striking(self, fault: Fault, duration_s: float, rng: random.Random) -> Generator[simpy.Event, None, None]:
        env = self._loop.env
        begins_s, ends_s = fault.between_s or (0.0, duration_s)
        rate_per_s = fault.per_target_per_h * len(self._nodes) / 3600
        if not rate_per_s:
            return
        at = begins_s
        while True:
            at += rng.expovariate(rate_per_s)
            node = self._nodes[int(rng.random() * len(self._nodes))]
            lasts_s = rng.uniform(*fault.lasts_s)
            if at >= ends_s:
                return
            yield env.timeout(max(0.0, at - env.now))
            if self._is_over:
                return
            if node.is_whole and node not in self._broken:
                self.begin(fault.kind, node)
                self._loop.after(lasts_s, self._heal_later, node, self.begun)

    def begin(self, kind: str, node: SimNode) -> None:
        """Break `node` now."""
        self.begun += 1
        self._broken[node] = f"{kind}/{self.begun}"
        self._hub.fault_began(kind, node.node_id)
        FAULTS[kind].begin(node)

    def _heal_later(self, node: SimNode, number: int) -> None:
        if self._broken.get(node, "").endswith(f"/{number}"):
            self.heal(node)

    def heal(self, node: SimNode) -> None:
        """Heal `node` now, if it is broken."""
        broken = self._broken.pop(node, None)
        if broken is not None:
            kind = broken.split("/")[0]
            self.healed += 1
            FAULTS[kind].heal(node)
            self._hub.fault_healed(kind, node.node_id)

    def heal_all(self) -> None:
        """Heal whatever is broken, and let nothing strike any more."""
        self._is_over = True
        for node in list(self._broken):
            self.heal(node)
        for node in self._nodes:
            node.busy = False
            _start(node)
            _thaw(node)
