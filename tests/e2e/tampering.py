"""A Redis behind a proxy that changes its answers."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator

Change = Callable[[bytes], bytes]


def of_version(version: bytes) -> Change:
    """Make a server report this version, padded to the length of its own."""
    return lambda message: re.sub(
        rb"redis_version:([0-9.]+)", lambda found: b"redis_version:" + version.ljust(len(found[1]), b"0"), message
    )


def with_clock(ahead_s: int) -> Change:
    """Make the clock of a server wrong by `ahead_s`."""
    return lambda message: re.sub(
        rb"\A\*2\r\n\$10\r\n([0-9]{10})\r\n", lambda found: b"*2\r\n$10\r\n%d\r\n" % (int(found[1]) + ahead_s), message
    )


@contextlib.contextmanager
def tampered(port: int, change: Change) -> Iterator[str]:
    """Yield the URL of the Redis at `port`, whose answers are changed by `change`."""
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as sockets:

        def carry(source: socket.socket, sink: socket.socket, change: Change) -> None:
            with contextlib.suppress(OSError):
                while message := source.recv(65536):
                    sink.sendall(change(message))
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client = sockets.enter_context(listener.accept()[0])
                    server = sockets.enter_context(socket.create_connection(("127.0.0.1", port)))
                    for arguments in ((client, server, bytes), (server, client, change)):
                        threading.Thread(target=carry, args=arguments, daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
