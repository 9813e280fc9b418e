"""Why peers were cut off, until they come back and get the reason. It knows names and reasons, no sockets."""

from __future__ import annotations

NAMES_MAX = 10_000
"""Past it the one that was cut off first is forgotten: it does not get the reason."""


class CutOffs:
    """Name of a session or node -> why its last connection was cut off."""

    def __init__(self, names_max: int = NAMES_MAX) -> None:
        self._names_max = names_max
        self._reasons: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._reasons)

    def remember(self, name: str, reason: str) -> None:
        """Keep why `name` was cut off; nothing is kept when there is no `reason`."""
        if not reason:
            return
        self._reasons.pop(name, None)
        if len(self._reasons) >= self._names_max:
            del self._reasons[next(iter(self._reasons))]
        self._reasons[name] = reason

    def take(self, name: str) -> str | None:
        """Return why `name` was cut off, if it was, and forget it."""
        return self._reasons.pop(name, None)
