"""The caller behind a request or a connection, and its rights."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from voxpool.scheduler.config import PRIORITY
from voxpool.scheduler.core.jobs.job import Share, key_of
from voxpool.scheduler.errors import BadInput


class Role(StrEnum):
    """What a token is for. An admin may do everything."""

    CLIENT = "client"
    NODE = "node"
    ADMIN = "admin"
    METRICS = "metrics"


class Caller(NamedTuple):
    """The owner of a token, or ANYBODY. `name` owns its jobs, sessions and nodes."""

    name: str
    role: Role
    rate_per_s: float | None = None
    """The token's own bound on submits; None = the setting rate_per_s."""
    digest: str = ""
    """The SHA-256 of its token in hex: by it a replaced token is detected. Never logged."""
    weight: float = 1.0
    """Its part of the slots beside other tokens, when the setting order is `fair`; that of each of its keys, too."""
    keys: bool = False
    """Whether its submits may name keys: it is a gateway for many users, each of whom gets turns of its own."""
    priority_min: int = 1
    """The least priority number that its submits may have."""

    def __repr__(self) -> str:
        return f"<caller {self.name or 'anybody'} {self.role}>"

    @property
    def is_admin(self) -> bool:
        """Whether it may see and do everything."""
        return self.role is Role.ADMIN

    def share(self, priority: int | None, key: str | None) -> Share:
        """Return the share of a submit with this `priority` and `key`. Raises BadInput when the token may not."""
        if priority is None:
            priority = max(PRIORITY, self.priority_min)
        elif priority < self.priority_min:
            raise BadInput("bad_priority", f"the token may give priorities from {self.priority_min} on, not {priority}")
        if not key:
            return Share(priority, self.name, self.weight)
        if not self.keys:
            raise BadInput("bad_key", "the token may not name keys: set keys = true in its entry of the token file")
        return Share(priority, key_of(self.name, key), self.weight)

    def owns(self, owner: str) -> bool:
        """Whether it may see and cancel what belongs to `owner`."""
        return self.is_admin or self.name == owner


ANYBODY = Caller("", Role.ADMIN, keys=True)
"""Every caller, when no tokens are set."""
