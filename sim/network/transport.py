"""One end of a connection in memory, which behaves as asyncio's socket transport does.

A window bounds the bytes that were sent and not yet read, as the send and receive buffers of two kernels do; what is
written beyond it lies in the transport's own buffer, which pauses and resumes the protocol.
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from voxpool.sim.network.link import Link
from voxpool.sim.network.process import Process
from voxpool.sim.network.sizes import CUT_CHANCE, HIGH_BYTES, READ_BYTES, SEGMENT_BYTES, WINDOW_BYTES
from voxpool.sim.virtual_time.loop_internals import Handle

if TYPE_CHECKING:
    from voxpool.sim.network.network import Network


class MemoryTransport(asyncio.Transport):
    """One end of a connection. `begin` makes its protocol; what arrives before then waits."""

    def __init__(
        self,
        network: Network,
        process: Process,
        link: Link,
        way: int,
        name: tuple[str, int],
        peer_name: tuple[str, int],
    ) -> None:
        super().__init__({"sockname": name, "peername": peer_name})
        self.process = process
        self._network, self._loop, self._link, self._way = network, network.loop, link, way
        self._context = contextvars.Context()
        self._peer: MemoryTransport | None = None
        self._early: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        """What this end has sent before the other one has heard that it is connected."""
        self._protocol: Any = None
        self._buffer: deque[bytes] = deque()
        self._size = 0
        self._high, self._low = HIGH_BYTES, HIGH_BYTES // 4
        self._in_window = 0
        """Bytes sent from here that the other end has not read."""
        self._inbox: deque[bytes] = deque()
        self._last: BaseException | bool = False
        """What follows the inbox: the end of the stream (True), or a reset."""
        self._reading = True
        self._will_read = False
        self._writing_paused = False
        self._eof_written = self._fin_sent = False
        self._closing = self._lost = False
        self._closed = False
        """The socket is closed: what arrives now is answered with a reset."""
        self._dark = False
        process.transports[self] = None

    @property
    def unread_bytes(self) -> int:
        """The bytes that have arrived and that the process has not read."""
        return sum(map(len, self._inbox))

    def meet(self, peer: MemoryTransport) -> None:
        """Join both ends; called at the one that has connected."""
        self._peer, peer._peer = peer, self
        early, peer._early = peer._early, []
        for fn, args in early:
            fn(*args)

    def begin(self, factory: Callable[[], Any]) -> asyncio.BaseProtocol:
        """Make the protocol and return it. Its callbacks run in the context that runs now."""
        self._context = contextvars.copy_context()
        protocol: asyncio.BaseProtocol = factory()
        self._protocol = protocol
        protocol.connection_made(self)
        self._read_soon()
        return protocol

    # ---- writing

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if self._eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not data or self._lost:
            return
        if isinstance(self._last, BaseException):
            self._lose(self._last)
            return
        data = bytes(data)
        if not self._buffer:
            room = WINDOW_BYTES - self._in_window
            if len(data) <= room:
                self._send(data)
                return
            if room > 0:
                self._send(data[:room])
                data = data[room:]
        self._buffer.append(data)
        self._size += len(data)
        self._pause_if_full()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        if not self._closing and not self._eof_written:
            self._eof_written = True
            if not self._buffer:
                self._send_fin()

    def can_write_eof(self) -> bool:
        return True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is None:
            high = HIGH_BYTES if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._high, self._low = high, low
        self._pause_if_full()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        return self._size

    def _pause_if_full(self) -> None:
        if self._size > self._high and not self._writing_paused:
            self._writing_paused = True
            self._protocol.pause_writing()

    def _resume(self) -> None:
        if not self._closed and self._writing_paused and self._size <= self._low:
            self._writing_paused = False
            self._protocol.resume_writing()

    def _send(self, data: bytes) -> None:
        network = self._network
        self._in_window += len(data)
        network.bytes += len(data)
        network.segments += 1
        peer = self._peer
        if peer is None or self._dark:
            self._to_peer(len(data) + SEGMENT_BYTES, "data_came", data)
        else:
            self._link.carry(self._way, len(data) + SEGMENT_BYTES, peer.data_came, data)

    def _send_fin(self) -> None:
        if not self._fin_sent:
            self._fin_sent = True
            self._to_peer(SEGMENT_BYTES, "eof_came")

    def _to_peer(self, size: int, what: str, *args: Any) -> None:
        if self._dark:
            return
        if self._peer is None:
            self._early.append((self._to_peer, (size, what, *args)))
            return
        self._link.carry(self._way, size, getattr(self._peer, what), *args)

    def was_read(self, size: int) -> None:
        """The other end has read `size` bytes: the window has room for what the buffer holds."""
        self._in_window -= size
        if self._closed:
            return
        while self._buffer and (room := WINDOW_BYTES - self._in_window) > 0:
            data = self._buffer.popleft()
            if len(data) > room:
                self._buffer.appendleft(data[room:])
                data = data[:room]
            self._size -= len(data)
            self._send(data)
        if self._writing_paused and self._size <= self._low:
            self._soon(self._resume)
        if not self._buffer:
            if self._closing and not self._lost:
                self._lost = True
                self._soon(self._end, None)
            elif self._eof_written:
                self._send_fin()

    # ---- reading

    def data_came(self, data: bytes) -> None:
        """Data has arrived in the kernel's buffer."""
        if self._closed or isinstance(self._last, BaseException):
            if not self._network.processes[self.process.name].is_off:
                self._to_peer(SEGMENT_BYTES, "reset_came")
            return
        self._inbox.append(data)
        if not self._will_read:
            self._read_soon()

    def eof_came(self) -> None:
        """The other end sends nothing more."""
        if not self._closed and self._last is False:
            self._last = True
            self._read_soon()

    def reset_came(self) -> None:
        """The connection was reset: unread data is lost, and the next read or write fails."""
        if self._closed:
            return
        self._inbox.clear()
        self._last = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
        if self._buffer and self._protocol is not None:
            self._soon(self._lose, self._last)  # the selector reports a socket that waits for writing
        self._read_soon()

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        if not self._closing and not self._reading:
            self._reading = True
            self._read_soon()

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def _read_soon(self) -> None:
        if self._will_read or self._closing or not self._reading or self._protocol is None:
            return
        if self._inbox or self._last is not False:
            self._will_read = True
            self._soon(self._read)

    def _read(self) -> None:
        self._will_read = False
        if not self._reading or self._closing:
            return
        if self._inbox:
            data = self._take()
            peer = self._peer
            if peer is not None:
                if peer._buffer or peer._closing:
                    self._to_peer(SEGMENT_BYTES, "was_read", len(data))
                else:
                    peer._in_window -= len(data)  # nobody waits for the room: no event is needed
            self._protocol.data_received(data)
            if self._inbox or self._last is not False:
                self._read_soon()
        elif isinstance(self._last, BaseException):
            self._lose(self._last)
        elif self._last:
            self._reading = False  # asyncio stops reading at the end of the stream
            if not self._protocol.eof_received():
                self.close()

    def _take(self) -> bytes:
        inbox = self._inbox
        if len(inbox) == 1 and len(inbox[0]) <= READ_BYTES:
            data = inbox.popleft()
        else:
            data = b"".join(inbox)
            inbox.clear()
            if len(data) > READ_BYTES:
                inbox.append(data[READ_BYTES:])
                data = data[:READ_BYTES]
        random = self._network.random
        if self._network.cuts_reads and len(data) > 1 and random.random() < CUT_CHANCE:
            cut = random.randrange(1, len(data))
            inbox.appendleft(data[cut:])
            data = data[:cut]
        return data

    # ---- the end

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if not self._buffer:
            self._lost = True
            self._loop.call_soon(self._end, None)

    def abort(self) -> None:
        self._lose(None)

    def _lose(self, error: BaseException | None) -> None:
        if self._lost:
            return
        self._buffer.clear()
        self._size = 0
        self._closing = self._lost = True
        if self._protocol is None:
            self._close_socket(True)
        else:
            self._loop.call_soon(self._end, error)

    def _end(self, error: BaseException | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            self._close_socket(not isinstance(error, ConnectionResetError))

    def process_ended(self, power_off: bool) -> None:
        """The process has ended: the kernel closes the socket, unless the machine has lost its power."""
        self._closing = self._lost = True
        self._buffer.clear()
        self._close_socket(not power_off)

    def _close_socket(self, notify: bool) -> None:
        self._closed = True
        self.process.transports.pop(self, None)
        if notify and (self._inbox or self._protocol is None):
            self._to_peer(SEGMENT_BYTES, "reset_came")  # data that nobody has read, or a connection nobody accepted
        elif notify:
            self._send_fin()
        self._inbox.clear()

    # ---- faults

    def reset(self) -> None:
        """Reset the connection from outside, as a firewall may: both ends receive it."""
        self.reset_came()
        if self._peer is not None:
            self._peer.reset_came()

    def go_dark(self) -> None:
        """Drop the connection from outside without a message to either end, as a NAT that has forgotten it does."""
        self._dark = True
        if self._peer is not None:
            self._peer._dark = True

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol  # type: ignore[no-any-return]

    def _soon(self, fn: Callable[..., None], *args: Any) -> None:
        """Call `fn` in the next turn of this end's process."""
        if self.process.is_alive:
            self._loop._ready.append(Handle(fn, args, self._context))
