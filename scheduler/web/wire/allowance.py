"""The bounds of one connection, before and after its peer is known: bytes, frames, chunks, turns and time.

It holds numbers and counts only. The protocols (http_protocol.py, peer_socket.py) and their transport
(bounded_transport.py) use them; connections.py bounds how many of them there are. SECURITY.md has the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.web.wire.pings import Pings
from voxpool.scheduler.web.wire.turn_queue import TurnQueue

SLACK_BYTES = 64 * 1024
"""Room in a message beside its audio or output."""
STRANGERS_MESSAGE_BYTES_MAX = 256 * 1024
"""The largest message before hello or register was accepted; a register with a thousand attempts takes 90 kB."""
FRAMES_A_TURN = 100
"""Frames of one known peer that are parsed before others get their turn: about 1 ms. One read may bring 40,000."""
STRANGERS_FRAMES_A_TURN = 20
"""The same for a stranger: it must not delay others noticeably."""
PARSED_BYTES_A_STEP = 512
"""Bytes of HTTP that are parsed between two looks at what they cost; these can be 85 chunks or 20 requests."""
PARSED_BYTES_A_STEP_MAX = 16 * 1024
"""The same in the middle of a large body, whose steps are one part each."""
PARTS_A_TURN = 50
"""Chunks of one body that are parsed before others get their turn."""
SMALL_PART_BYTES = 256
"""A fragment of a message or a chunk of a body below this size is small, and so is every control frame."""
SMALL_CHUNKS_FREE = 8
"""Small chunks of one body that are not counted: its last one is, and short bodies come in few."""
SMALL_PARTS_BURST_S = 2.0
"""Seconds' worth of small parts that may come at once: a peer that was stopped catches up."""
DROP_S = 5.0
"""How long a peer may go on sending after our last message: closing at once would reset the connection, and the peer
would never read that message."""
DROP_KNOWN_S = 30.0
DROPPED_KNOWN_BYTES_MAX = 256 * 1024**2
"""The same for a known peer, whose file may be much too large: it reads why, as long as it goes on sending."""
DROP_STEP_S = 0.02
"""Between two reads of what a stranger sends then: at most 13 MB/s, which costs next to no CPU."""
DROPPED_BYTES_MIN = 16 * 1024**2
"""The least that is dropped after our last message, however small the largest message may be."""


class Incoming:
    """Bytes of bodies and messages that have come in part, of all peers; full at `bytes_max`.

    A part can be as large as the whole less one byte, and neither the bound on the audio of jobs, which counts what was
    accepted, nor that on connections knows of it.
    """

    def __init__(self, bytes_max: int) -> None:
        self.bytes = 0
        self.bytes_max = bytes_max

    @property
    def is_full(self) -> bool:
        """Whether no peer may send more before others are done."""
        return self.bytes > self.bytes_max


@dataclass(frozen=True)
class Pace:
    """Something must come in each `stall_s`; after the first, the whole must have come at `bytes_per_s_min` or quicker.

    The rule of Apache's RequestReadTimeout: a body as large as is allowed has the time that it needs on a slow line,
    one that trickles has not.
    """

    stall_s: float
    bytes_per_s_min: int

    def due_s(self, began_s: float, last_s: float, received: int) -> float:
        """Return until when the next part must have come, `received` bytes since `began_s`, the last at `last_s`."""
        return min(last_s + self.stall_s, began_s + self.stall_s + received / self.bytes_per_s_min)


class SmallParts:
    """The control frames, small fragments and small chunks of one peer: at most `per_s` a second in the long run."""

    __slots__ = ("_left", "_most", "_per_s", "_since_s")

    def __init__(self, per_s: float, now_s: float) -> None:
        self._per_s = per_s
        self._left = self._most = per_s * SMALL_PARTS_BURST_S
        self._since_s = now_s

    def allow(self, count: int, now_s: float) -> bool:
        """Count `count` more; return whether the peer stays within its rate."""
        self._left = min(self._most, self._left + (now_s - self._since_s) * self._per_s) - count
        self._since_s = now_s
        return self._left >= 0


@dataclass(frozen=True)
class Bounds:
    """Bounds of one connection, the same for all. The settings of the same names explain them."""

    head_bytes_max: int
    headers_max: int
    head_s: float
    pace: Pace
    """How slowly a body or a message may come in."""
    incoming: Incoming
    small_parts_per_s_max: float
    message_bytes_max: Mapping[str, int]
    """The largest message of a known peer, by the path of its WebSocket; for other paths it is a stranger's."""
    request_bytes_max: int
    """Bytes on the wire of one request: a body with what stands around its chunks."""
    dropped_bytes_max: int
    """Bytes that are read and dropped after our last message, so that the peer can read it."""
    send_buffer_bytes_max: int
    send_stall_s: float
    on_abort: Callable[[str, str], None]
    """Called with (peer, reason) when a connection is cut off."""
    pings: Pings
    """The pings of all peers."""
    strangers: TurnQueue = field(default_factory=TurnQueue)
    """The queue of peers that are not known yet."""

    @classmethod
    def of(cls, settings: Settings, incoming: Incoming, observer: Observer) -> Bounds:
        """Return the bounds by `settings`."""
        largest = frame_bytes_max(settings)
        return cls(
            head_bytes_max=settings.head_bytes_max,
            headers_max=settings.headers_max,
            head_s=settings.head_s,
            pace=Pace(settings.body_stall_s, settings.body_bytes_per_s_min),
            incoming=incoming,
            small_parts_per_s_max=settings.small_parts_per_s_max,
            message_bytes_max={
                "/ws/session": client_message_bytes_max(settings),
                "/ws/node": node_message_bytes_max(settings),
            },
            request_bytes_max=2 * largest,
            dropped_bytes_max=max(2 * largest, DROPPED_BYTES_MIN),
            send_buffer_bytes_max=settings.send_buffer_bytes_max,
            send_stall_s=settings.send_stall_s,
            on_abort=observer.peer_aborted,
            # A silent node is noticed by its lease first.
            pings=Pings(settings.heartbeat_s, settings.lease_s + settings.heartbeat_s),
        )


def client_message_bytes_max(settings: Settings) -> int:
    """Return the bytes of the largest message of a client: the largest audio as base64."""
    return -(-settings.audio_bytes_max // 3) * 4 + SLACK_BYTES


def node_message_bytes_max(settings: Settings) -> int:
    """Return the bytes of the largest message of a node: the largest output, whose letters may be escaped in JSON."""
    return 2 * settings.output_bytes_max + SLACK_BYTES


def frame_bytes_max(settings: Settings) -> int:
    """Return the bytes of the largest message in either direction: audio as base64, or an output with escapes."""
    return max(client_message_bytes_max(settings), node_message_bytes_max(settings))
