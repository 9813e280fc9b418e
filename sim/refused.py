"""What an event loop in virtual time refuses: sockets, threads, executors, processes and signals."""

from __future__ import annotations

import asyncio
from typing import Any


class Refused(RuntimeError):
    """Code on virtual time asked for the real world."""

    def __init__(self, method: str, what: str) -> None:
        super().__init__(
            f"{method}: {what} would bring real time into virtual time, so the simulation refuses it; "
            "reach the world through a seam (scheduler/seams.py) and give the simulation its own end of it"
        )


_REFUSED_COROUTINES = {
    "getaddrinfo": "a name server",
    "getnameinfo": "a name server",
    "create_connection": "a socket",
    "create_server": "a socket",
    "create_unix_connection": "a socket",
    "create_unix_server": "a socket",
    "create_datagram_endpoint": "a socket",
    "connect_accepted_socket": "a socket",
    "start_tls": "a socket",
    "sendfile": "a socket",
    "sock_accept": "a socket",
    "sock_connect": "a socket",
    "sock_recv": "a socket",
    "sock_recv_into": "a socket",
    "sock_recvfrom": "a socket",
    "sock_recvfrom_into": "a socket",
    "sock_sendall": "a socket",
    "sock_sendfile": "a socket",
    "sock_sendto": "a socket",
    "connect_read_pipe": "a pipe",
    "connect_write_pipe": "a pipe",
    "subprocess_exec": "another process",
    "subprocess_shell": "another process",
}
_REFUSED = {
    "call_soon_threadsafe": "a thread",
    "run_in_executor": "a thread",
    "set_default_executor": "a thread",
    "add_reader": "a file descriptor",
    "remove_reader": "a file descriptor",
    "add_writer": "a file descriptor",
    "remove_writer": "a file descriptor",
    "add_signal_handler": "a signal",
    "remove_signal_handler": "a signal",
}


def _refuse(name: str, what: str) -> Any:
    def refuse(self: object, *args: object, **options: object) -> None:
        raise Refused(name, what)

    refuse.__name__ = name
    return refuse


def _refuse_coroutine(name: str, what: str) -> Any:
    async def refuse(self: object, *args: object, **options: object) -> None:
        raise Refused(name, what)

    refuse.__name__ = name
    return refuse


class RefusingLoop(asyncio.AbstractEventLoop):
    """Base of an event loop that refuses the real world."""


for _name, _what in _REFUSED.items():
    setattr(RefusingLoop, _name, _refuse(_name, _what))
for _name, _what in _REFUSED_COROUTINES.items():
    setattr(RefusingLoop, _name, _refuse_coroutine(_name, _what))
