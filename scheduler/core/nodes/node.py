"""What the scheduler knows of one connection of a node, and the tables of its transitions.

The store, not this record, is the truth about its slots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxpool.scheduler.errors import IllegalTransition

if TYPE_CHECKING:
    from voxpool.scheduler.core.jobs.job import Job
    from voxpool.scheduler.core.seams import NodeLink

JOINING = "joining"
"""Connected; the store has not confirmed its present generation."""
READY = "ready"
GONE = "gone"

REGISTER = "register"
REGISTERED = "registered"
LEAVE = "leave"

PRESENCE: dict[str, dict[str, str]] = {
    JOINING: {REGISTER: JOINING, REGISTERED: READY, LEAVE: GONE},
    READY: {REGISTER: JOINING, LEAVE: GONE},
    GONE: {},
}
"""Presence -> event -> the presence that follows. An event that is not listed can't happen."""

DRAINING = "d"
RESTING = "r"

DRAIN = "drain"
UNDRAIN = "undrain"
REST = "rest"
END_REST = "end_rest"

FLAGS: dict[str, dict[str, str]] = {
    "": {DRAIN: "d", REST: "r"},
    "d": {UNDRAIN: "", REST: "dr"},
    "r": {DRAIN: "dr", END_REST: ""},
    "dr": {UNDRAIN: "r", END_REST: "d"},
}
"""Flags, as the store has them -> event -> the flags that follow. They change only while the node is connected."""


class Node:
    """One connection of a node, from its register to its end. A reconnect makes a new one, so that the clean-up of
    an old connection cannot take the new one offline.

    Times are int ms. `reservations` maps job_id to the job whose present attempt this node has: the dispatcher's own
    index, from which the jobs of a lost node are taken.
    """

    __slots__ = (
        "clock_ahead_ms",
        "deadline_ms",
        "failures_in_a_row",
        "flags",
        "flags_sent",
        "generation",
        "is_counted",
        "is_to_register",
        "link",
        "missing",
        "node_id",
        "owner",
        "pairs",
        "presence",
        "process_id",
        "replaces",
        "reservations",
        "rest_is_until_beat",
        "rest_until_ms",
        "seen_ms",
        "slots",
    )

    def __init__(
        self,
        node_id: str,
        process_id: str,
        pairs: tuple[str, ...],
        slots: int,
        link: NodeLink,
        now_ms: int,
        owner: str = "",
    ) -> None:
        self.node_id = node_id
        self.process_id = process_id
        self.owner = owner
        """The name of the token that it registered with: no other one takes over its name while it is connected."""
        self.pairs = pairs
        self.slots = slots
        self.link = link
        self.generation = ""
        self.replaces = ""
        """The generation of another process that this register takes over from, when that one is known dead."""
        self.presence = JOINING
        self.is_to_register = False
        """Whether it waits for its turn to be registered again (node_registry.py)."""
        self.is_counted = False
        """Whether its slots are among those of its pairs (node_registry.py)."""
        self.flags = ""
        """What keeps new jobs from it, as the store has it: d (draining), r (resting), both or none."""
        self.rest_until_ms = 0
        """No new jobs before this moment; 0 = does not rest."""
        self.rest_is_until_beat = False
        self.flags_sent: dict[str, str] = {}
        """flag -> the generation under which it was sent to the store, until the store answers (node_registry.py)."""
        self.failures_in_a_row = 0
        self.seen_ms = now_ms
        self.clock_ahead_ms = 0
        """Its clock less ours when it registered, with the time of that message in it; 0 when it sent none."""
        self.deadline_ms = 0
        """When to look at it again: the end of its lease or of its rest (clock.py)."""
        self.reservations: dict[str, Job] = {}
        self.missing: dict[str, int] = {}
        """job_id -> beats in a row that did not name a held attempt; at two the assign counts as lost."""

    def move(self, event: str) -> None:
        """Take note of `event` by the tables PRESENCE and FLAGS. Raises IllegalTransition and changes nothing."""
        if event in PRESENCE[self.presence]:
            self.presence = PRESENCE[self.presence][event]
        elif self.presence != GONE and event in FLAGS[self.flags]:
            self.flags = FLAGS[self.flags][event]
        else:
            raise IllegalTransition(f"{event} is impossible for {self!r}")

    @property
    def connected(self) -> bool:
        """Whether it is the connection of its name, and open as far as is known."""
        return self.presence != GONE

    @property
    def registered(self) -> bool:
        """Whether the store has answered OK to the register of the present generation."""
        return self.presence == READY

    @property
    def draining(self) -> bool:
        """Whether it finishes its jobs and gets no new ones."""
        return DRAINING in self.flags

    @property
    def has_room(self) -> bool:
        """Whether the store should find a slot on it, as far as is known here."""
        return self.registered and not self.flags and not self.is_to_register and len(self.reservations) < self.slots

    @property
    def state(self) -> str:
        """One word for people: draining, resting, or its presence."""
        if self.flags:
            return "draining" if self.draining else "resting"
        return self.presence

    def __repr__(self) -> str:
        flags = "".join((" draining" if self.draining else "", " resting" if RESTING in self.flags else ""))
        state = "connected" if self.connected else "gone"
        return f"<node {self.node_id} {self.generation} {len(self.reservations)}/{self.slots} {state}{flags}>"
