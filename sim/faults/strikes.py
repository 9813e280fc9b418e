"""All kinds of faults, and the process that injects them at their rates and heals them."""

from __future__ import annotations

import random
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import simpy

from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.sentences import nearest
from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.faults.clients import CLIENT_FAULTS, Client
from voxpool.sim.faults.followers import Followers
from voxpool.sim.faults.kind import FaultKind, Target
from voxpool.sim.faults.links import LINK_FAULTS
from voxpool.sim.faults.nodes import NODE_FAULTS
from voxpool.sim.faults.scheduler import SCHEDULER_FAULTS
from voxpool.sim.faults.store import STORE_FAULTS
from voxpool.sim.faults.wire import WIRE_FAULTS

if TYPE_CHECKING:
    from voxpool.sim.scenario.scenario import Fault
    from voxpool.sim.wire.world import WireWorld
    from voxpool.sim.world.clients import Request
    from voxpool.sim.world.world import World

FAULTS: dict[str, FaultKind] = {**NODE_FAULTS, **LINK_FAULTS, **STORE_FAULTS, **SCHEDULER_FAULTS, **CLIENT_FAULTS}
HEALED_IN_ORDER = (Target.LINK, Target.STORE, Target.SCHEDULER, Target.NODE, Target.CLIENT)
LOOKS_S = 0.05
"""Time between two looks for a job to strike."""
LASTS_S = (5.0, 60.0)
"""Default duration of a fault."""


def faults_of(ends: str) -> dict[str, FaultKind]:
    """Return the kinds of faults for runs with these ends, "model" or "wire"."""
    return WIRE_FAULTS if ends == "wire" else FAULTS


def check_fault(fault: Fault, place: str, ends: str) -> None:
    """Raise ConfigError, in one line, when `fault`, a table of a scenario with these ends, is not valid."""
    kinds = faults_of(ends)
    if fault.kind not in kinds:
        where = ' with ends = "wire"' if ends == "wire" else ""
        raise ConfigError(f"{place}.kind = {fault.kind!r}{where}: {nearest(fault.kind, kinds)}")
    if kinds[fault.kind].is_momentary and fault.lasts_s is not None:
        raise ConfigError(f"{place}.lasts_s: a {fault.kind} has no duration; remove the key")
    if fault.at_work and not kinds[fault.kind].is_of_each_node:
        raise ConfigError(f"{place}.at_work: a {fault.kind} strikes neither a node nor its link; remove the key")
    if ends == "wire" and (fault.at_work or fault.follows):
        raise ConfigError(f'{place}: at_work and follows need ends = "model"')
    if (fault.per_target_per_h is None) == (fault.at_s is None):
        raise ConfigError(
            f"{place}: give either per_target_per_h, the rate of a {fault.kind}, or at_s, the time of one"
        )
    if fault.at_s is None and fault.target:
        raise ConfigError(f"{place}.target: faults at a rate have random targets; give at_s, or remove the key")
    if fault.at_s is not None and (fault.between_s or fault.at_work or fault.follows):
        raise ConfigError(f"{place}: at_s is the time of one fault; remove it, or between_s, at_work and follows")
    for key, span in (("lasts_s", fault.lasts_s), ("between_s", fault.between_s), ("follows_s", fault.follows_s)):
        if span is not None and span[0] > span[1]:
            raise ConfigError(f"{place}.{key} = {list(span)}: the smaller number must come first")


class Broken(NamedTuple):
    """An active fault."""

    kind: str
    number: int
    thing: Any
    state: Any


class Strike(NamedTuple):
    """A fault that has begun: its kind, the name of its target, its time and its duration (None: momentary)."""

    kind: str
    target: str
    at_s: float
    lasts_s: float | None


class Faults:
    """All faults of a run. A target has at most one at a time; further ones are left out.

    `counts` has the number of faults begun by kind, `left_out` the number of those that found no suitable target, and
    `strikes` those of the scenario that have begun.
    """

    def __init__(self, world: World | WireWorld, kinds: Mapping[str, FaultKind] = FAULTS) -> None:
        self.begun = 0
        self.healed = 0
        self.left_out = 0
        self.counts: dict[str, int] = {}
        self.strikes: list[Strike] = []
        self._world: Any = world
        self._kinds = kinds
        self._loop = world.loop
        self._broken: dict[tuple[Target, str], Broken] = {}
        self._is_over = False
        self._followers = Followers(self._world)

    def strike(self, fault: Fault, duration_s: float, rng: random.Random) -> None:
        """Inject `fault` at its rate into random targets, or once at its time; let it follow those of nodes."""
        if fault.follows:
            self._followers.add(fault)
        if fault.at_s is None:
            self._loop.env.process(self._striking(fault, duration_s, rng))
        else:
            self._loop.at(fault.at_s, self._strike_once, fault, rng)

    def _strike_once(self, fault: Fault, rng: random.Random) -> None:
        nodes, kind = self._world.nodes, self._kinds[fault.kind]
        lasts_s = rng.uniform(*(fault.lasts_s or LASTS_S))
        if not fault.target:
            thing = nodes[int(rng.random() * len(nodes))] if kind.is_of_each_node else self._target(kind, rng)
        elif kind.is_of_each_node:
            thing = next((node for node in nodes if node.first_id == fault.target), None)
        else:
            thing = self._world.client_named(fault.target)
        if not self._is_over:
            self._begin_for(fault, thing, lasts_s)

    def _striking(self, fault: Fault, duration_s: float, rng: random.Random) -> Generator[simpy.Event, None, None]:
        env, nodes = self._loop.env, self._world.nodes
        begins_s, ends_s = fault.between_s or (0.0, duration_s)
        kind = self._kinds[fault.kind]
        rate_per_s = (fault.per_target_per_h or 0.0) * (len(nodes) if kind.is_of_each_node else 1) / 3600
        if not rate_per_s:
            return
        at = begins_s
        while True:
            at += rng.expovariate(rate_per_s)
            node = nodes[int(rng.random() * len(nodes))] if kind.is_of_each_node else None
            lasts_s = rng.uniform(*(fault.lasts_s or LASTS_S))
            if at >= ends_s:
                return
            yield env.timeout(max(0.0, at - env.now))
            if self._is_over:
                return
            request = None
            while fault.at_work and request is None:
                request = self._followers.draw_job(rng)
                if request is not None:
                    node = self._world.node(request.node_id)
                else:
                    yield env.timeout(LOOKS_S)
                    if self._is_over or env.now >= ends_s:
                        return
            if self._begin_for(fault, node or self._target(kind, rng), lasts_s) and request is not None:
                for delay_s, follower, chance in self._followers.draw():
                    self._loop.after(delay_s, self._follow, follower, chance, request)

    def _follow(self, fault: Fault, rng: random.Random, request: Request) -> None:
        """Inject `fault` where `request` is now."""
        lasts_s = rng.uniform(*(fault.lasts_s or LASTS_S))
        if not self._is_over:
            self._begin_for(fault, self._followers.target(self._kinds[fault.kind], request), lasts_s)

    def _begin_for(self, fault: Fault, thing: Any, lasts_s: float) -> bool:
        """Inject the fault into `thing`, if that is possible now, for `lasts_s`; return whether it was."""
        kind = self._kinds[fault.kind]
        number = self._begin_if_it_can(fault.kind, thing)
        if not number:
            return False
        if not kind.is_momentary:
            self._loop.after(lasts_s, self._heal_later, number)
        lasted_s = None if kind.is_momentary else lasts_s
        self.strikes.append(Strike(fault.kind, _target_name(kind, thing), self._loop.env.now, lasted_s))
        return True

    def _target(self, kind: FaultKind, rng: random.Random) -> Any:
        """Return the store, the scheduler or a random client; None when there is none, and for a fault of nodes."""
        if kind.is_of_each_node:
            return None
        if kind.target is Target.STORE:
            return self._world.store_seam
        if kind.target is Target.SCHEDULER:
            return self._world
        return self._world.draw_client(rng)

    def _begin_if_it_can(self, name: str, thing: Any) -> int:
        """Inject the fault into `thing` and return its number; 0 when that is not possible now."""
        kind = self._kinds[name]
        if thing is None or (kind.target, _name(kind, thing)) in self._broken or not kind.can_strike(thing):
            self.left_out += 1
            return 0
        self.begin(name, thing)
        return self.begun

    def begin(self, name: str, thing: Any = None) -> None:
        """Inject the fault into `thing` (a node, for links and nodes; a client) now, whatever its state."""
        kind = self._kinds[name]
        self.begun += 1
        self.counts[name] = self.counts.get(name, 0) + 1
        chance = plain_random(self._world.seed, f"faults/{name}/{self.counts[name]}")
        thing = thing or self._target(kind, chance)
        target = _name(kind, thing)
        self._world.hub.fault_began(name, target)
        state = kind.begin(thing, chance)
        if kind.is_momentary:
            self.healed += 1
        else:
            self._broken[kind.target, target] = Broken(name, self.begun, thing, state)

    def _heal_later(self, number: int) -> None:
        for key, broken in self._broken.items():
            if broken.number == number:
                self._heal(key)
                return

    def heal(self, thing: Any = None) -> None:
        """Heal `thing` now, a node together with its link; without an argument the store and the scheduler."""
        alone = (Target.STORE, Target.SCHEDULER)
        for key in [
            key for key in self._broken if (thing is None and key[0] in alone) or self._broken[key].thing is thing
        ]:
            self._heal(key)

    def _heal(self, key: tuple[Target, str]) -> None:
        broken = self._broken.pop(key)
        self.healed += 1
        self._kinds[broken.kind].heal(broken.thing, broken.state)
        self._world.hub.fault_healed(broken.kind, key[1])

    def heal_all(self) -> None:
        """Heal all active faults and inject no more."""
        self._is_over = True
        for target in HEALED_IN_ORDER:
            for key in [key for key in self._broken if key[0] is target]:
                self._heal(key)
        for node in self._world.nodes:
            self._world.make_whole(node)


def _target_name(kind: FaultKind, thing: Any) -> str:
    """Return what a scenario writes as the target of a single fault; there is only one store and one scheduler."""
    if kind.is_of_each_node:
        return str(thing.first_id)
    if kind.target is not Target.CLIENT:
        return ""
    return thing.request.request_id if isinstance(thing, Client) else str(thing.name)


def _name(kind: FaultKind, thing: Any) -> str:
    """Return the key of the target: a node keeps its name when its id changes."""
    if kind.target in (Target.NODE, Target.LINK):
        name: str = thing.first_id
        return name
    return str(thing.name) if kind.target is Target.CLIENT else str(kind.target)
