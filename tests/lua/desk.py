"""A caller of the scripts with default arguments, so that a test only gives the relevant ones."""

from __future__ import annotations

from collections.abc import Sequence

from tests.contract.sides import Side
from voxpool.scheduler.core import scripts
from voxpool.scheduler.core.scripts import ScriptCall, Want
from voxpool.scheduler.stores.memory import Dump

NOW_MS = 1_700_000_000_000
LEASE_MS = 45_000
RESERVATION_MS = 105_000
PAIR = "zh:en"


class Desk:
    """Each method calls one script once; `now_ms` is constant until a test changes it."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._seed = 20_261_124
        self.now_ms = NOW_MS

    def call(self, call: ScriptCall) -> list[str]:
        """Run one call and return its answer."""
        (answer,) = self._side.run([call])
        return answer

    def dump(self) -> Dump:
        """Return the whole state."""
        return self._side.dump()

    def family(self, name: str) -> list[str]:
        """Return the members of a sorted set, in order."""
        return [member for member, _ in self.dump().get(name, [])]

    def register(
        self,
        node: str,
        generation: str = "g-1",
        slots: int = 1,
        pairs: Sequence[str] = (PAIR,),
        process: str = "p",
        flags: str = "",
        replaces: str = "",
        keep: Sequence[str] = (),
    ) -> list[str]:
        """Write a node."""
        due_ms = self.now_ms + RESERVATION_MS
        return self.call(
            scripts.register_node(
                self.now_ms,
                LEASE_MS,
                node,
                generation,
                process,
                slots,
                flags,
                pairs,
                replaces,
                [(reservation, due_ms) for reservation in keep],
            )
        )

    def heartbeat(self, *beats: tuple[str, str]) -> list[str]:
        """Renew leases of (node, generation) pairs."""
        return self.call(scripts.heartbeat(self.now_ms, LEASE_MS, beats))

    def offline(self, node: str, generation: str = "g-1", lapsed: bool = False) -> list[str]:
        """Remove a node; with `lapsed` only if its lease has expired."""
        return self.call(scripts.node_offline(node, generation, self.now_ms if lapsed else None))

    def drain(self, node: str, flag: str = "d", on: bool = True, generation: str = "g-1") -> list[str]:
        """Set or clear the drain flag."""
        return self.call(scripts.drain_node(node, generation, flag, on))

    def want(self, reservation: str, pair: str = PAIR, prefer: str = "", avoid: Sequence[str] = ()) -> Want:
        """Return the arguments of select for one attempt."""
        return Want(reservation, pair, self.now_ms + RESERVATION_MS, prefer, tuple(avoid))

    def select_all(self, *wants: Want, choices: int = 2, removals_max: int = 1000) -> list[tuple[str, str]]:
        """Select for a batch; return (node, generation) for each."""
        self._seed = self._seed * 48271 % (2**31 - 1)
        answer = self.call(scripts.select_node(self.now_ms, self._seed, choices, removals_max, wants))
        return list(zip(answer[::2], answer[1::2], strict=True))

    def select(
        self, reservation: str, pair: str = PAIR, prefer: str = "", avoid: Sequence[str] = (), choices: int = 2
    ) -> tuple[str, str]:
        """Select for one attempt."""
        return self.select_all(self.want(reservation, pair, prefer, avoid), choices=choices)[0]

    def release(self, *reservations: str) -> list[str]:
        """Free attempts."""
        return self.call(scripts.release_job(reservations))

    def expire(self, limit: int = 100) -> list[str]:
        """Free attempts that are due."""
        return self.call(scripts.expire_reservations(self.now_ms, limit))

    def lapsed(self, limit: int = 100) -> list[str]:
        """List nodes whose lease has expired."""
        return self.call(scripts.lapsed_nodes(self.now_ms, limit))

    def damage(self, name: str, node: str) -> None:
        """Lose a part of the data: forget_about or forget_lease."""
        self.call(ScriptCall(name, [node]))
