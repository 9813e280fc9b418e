"""M7: maps beside the connections, cleared when a client sends goodbye and not when its socket just closes."""

from __future__ import annotations


class SocketMaps:
    """What was kept for each session, in a map each."""

    def __init__(self) -> None:
        self.connections: dict[str, object] = {}
        self.last_chunk: dict[str, int] = {}
        self.rooms: dict[str, str] = {}
        self.buffers: dict[str, bytearray] = {}
        self.order: dict[str, int] = {}

    def opened(self, session_id: str, connection: object) -> None:
        """A client has connected."""
        self.connections[session_id] = connection
        self.rooms[session_id] = f"room-{session_id}"

    def chunk(self, session_id: str, number: int, audio: bytes) -> None:
        """A piece of audio has come in."""
        self.last_chunk[session_id] = number
        self.buffers.setdefault(session_id, bytearray()).extend(audio)
        self.order[session_id] = number + 1

    def left(self, session_id: str) -> None:
        """The client has sent goodbye: everything goes."""
        self.closed(session_id)
        for kept in (self.last_chunk, self.rooms, self.buffers, self.order):
            kept.pop(session_id, None)

    def closed(self, session_id: str) -> None:
        """The socket has closed, with a goodbye or without."""
        self.connections.pop(session_id, None)

    def entries(self) -> int:
        """Return the entries of all maps."""
        maps = (self.connections, self.last_chunk, self.rooms, self.buffers, self.order)
        return sum(len(kept) for kept in maps)
