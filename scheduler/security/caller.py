"""The caller behind a request or a connection, and its rights."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


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

    def __repr__(self) -> str:
        return f"<caller {self.name or 'anybody'} {self.role}>"

    @property
    def is_admin(self) -> bool:
        """Whether it may see and do everything."""
        return self.role is Role.ADMIN

    def owns(self, owner: str) -> bool:
        """Whether it may see and cancel what belongs to `owner`."""
        return self.is_admin or self.name == owner


ANYBODY = Caller("", Role.ADMIN)
"""Every caller, when no tokens are set."""
