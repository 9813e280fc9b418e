"""M7: maps by session that are cleared when a client sends goodbye, and not when its socket closes without one."""

from __future__ import annotations


class SocketMaps:
    """The old maps with data of sessions."""

    def __init__(self) -> None:
        self.connections: dict[str, object] = {}
        self.last_chunk: dict[str, int] = {}
        self.rooms: dict[str, str] = {}
        self.buffers: dict[str, bytearray] = {}
        self.order: dict[str, int] = {}

    def opened(self, session_id: str, connection: object) -> None:
        """Add a connected client."""
        self.connections[session_id] = connection
        self.rooms[session_id] = f"room-{session_id}"

    def chunk(self, session_id: str, number: int, audio: bytes) -> None:
        """Add a received chunk of audio."""
        self.last_chunk[session_id] = number
        self.buffers.setdefault(session_id, bytearray()).extend(audio)
        self.order[session_id] = number + 1

    def left(self, session_id: str) -> None:
        """Handle a goodbye: remove all entries."""
        self.closed(session_id)
        for kept in (self.last_chunk, self.rooms, self.buffers, self.order):
            kept.pop(session_id, None)

    def closed(self, session_id: str) -> None:
        """Handle a closed socket, with or without a goodbye."""
        self.connections.pop(session_id, None)

    def entries(self) -> int:
        """Return the number of entries of all maps."""
        maps = (self.connections, self.last_chunk, self.rooms, self.buffers, self.order)
        return sum(len(kept) for kept in maps)
