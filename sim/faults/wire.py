"""Faults of a run whose ends are production code: processes and links of the machines of a network.

A node or a client is a `machine` with its process, its link to the scheduler and its connections; what a fault of the
model does to the simulated node, the same fault does here to the process of a worker.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from voxpool.sim.faults.kind import FaultKind, Target
from voxpool.sim.faults.nodes import NODE_FAULTS
from voxpool.sim.faults.scheduler import SCHEDULER_FAULTS
from voxpool.sim.faults.store import STORE_FAULTS

if TYPE_CHECKING:
    from voxpool.sim.wire.peers import Peer
    from voxpool.sim.wire.world import WireWorld

SLOW_BYTES_PER_S = 20_000.0
"""The bandwidth of a slow link."""
OF_THE_MODEL = ("node_crash", "node_vanish", "node_restart", "node_freeze", "node_slow", "node_errors")
"""Faults of simulated nodes that do the same to a worker. Those that change what a node answers stay with the model."""


def is_up(machine: Peer) -> bool:
    """Whether the process of the machine runs."""
    return machine.is_whole


def _cut(machine: Peer, random: random.Random) -> None:
    machine.link.cut()


def _join(machine: Peer, state: object) -> None:
    machine.link.heal()


def _slow(machine: Peer, random: random.Random) -> None:
    machine.link.bytes_per_s = SLOW_BYTES_PER_S


def _as_fast_as_before(machine: Peer, state: object) -> None:
    machine.link.bytes_per_s = 0.0


def _reset(machine: Peer, random: random.Random) -> None:
    for transport in machine.connections:
        transport.reset()


def _go_dark(machine: Peer, random: random.Random) -> None:
    for transport in machine.connections:
        transport.go_dark()


def _crash(machine: Peer, random: random.Random) -> None:
    machine.crash()


def _start(machine: Peer, state: object) -> None:
    machine.start()


def _freeze(machine: Peer, random: random.Random) -> None:
    machine.freeze()


def _thaw(machine: Peer, state: object) -> None:
    machine.thaw()


def _terminate(world: WireWorld, random: random.Random) -> None:
    world.terminate_scheduler()


def _start_again(world: WireWorld, state: object) -> None:
    world.start_scheduler_when_ended()


def _link_faults(of: str, target: Target) -> dict[str, FaultKind]:
    return {
        f"{of}_partition": FaultKind(
            "nothing arrives until it heals, then everything does", target, _cut, _join, is_up
        ),
        f"{of}_narrow": FaultKind(
            f"its link carries {SLOW_BYTES_PER_S / 1000:g} kB/s", target, _slow, _as_fast_as_before, is_up
        ),
        f"{of}_reset": FaultKind("its connections are reset", target, _reset, can_strike=is_up),
        f"{of}_dark": FaultKind(
            "its connections carry nothing more, and neither end is notified", target, _go_dark, can_strike=is_up
        ),
    }


WIRE_FAULTS: dict[str, FaultKind] = {
    **{name: NODE_FAULTS[name] for name in OF_THE_MODEL},
    **_link_faults("link", Target.LINK),
    **STORE_FAULTS,
    "scheduler_crash": SCHEDULER_FAULTS["scheduler_crash"],
    "scheduler_stall": SCHEDULER_FAULTS["scheduler_stall"],
    "scheduler_stop": FaultKind(
        "it gets SIGTERM, drains and hands back its jobs; another one starts",
        Target.SCHEDULER,
        _terminate,
        _start_again,
    ),
    **_link_faults("client", Target.CLIENT),
    "client_crash": FaultKind(
        "its process dies, and a new one resumes its session", Target.CLIENT, _crash, _start, is_up
    ),
    "client_freeze": FaultKind("its process is paused and resumed", Target.CLIENT, _freeze, _thaw, is_up),
}
"""The faults of ends = "wire"."""
