"""Which node took the last job of a session: a hint for the next one, bounded, and no promise."""

from __future__ import annotations


class Affinity:
    """Remembers one node a session for at most `sessions_max` sessions; the one used longest ago goes first."""

    def __init__(self, sessions_max: int) -> None:
        self._sessions_max = sessions_max
        self._nodes: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def node_of(self, session_id: str) -> str:
        """Return the node that took the session's last job, or ''."""
        return self._nodes.get(session_id, "")

    def took(self, session_id: str, node_id: str) -> None:
        """Note that `node_id` took a job of the session."""
        self._nodes.pop(session_id, None)
        self._nodes[session_id] = node_id
        if len(self._nodes) > self._sessions_max:
            del self._nodes[next(iter(self._nodes))]

    def forget(self, session_id: str) -> None:
        """Drop the session; it has ended."""
        self._nodes.pop(session_id, None)
