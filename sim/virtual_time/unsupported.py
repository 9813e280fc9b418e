"""An event loop base that refuses sockets, threads, executors, processes and signals."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn


class Refused(RuntimeError):
    """Code in virtual time used an operating system resource."""


def _refuse(method: str, what: str) -> NoReturn:
    raise Refused(
        f"{method}: {what} would bring real time into virtual time, so the simulation refuses it; "
        "use a seam (scheduler/core/seams.py) and give the simulation an implementation of it"
    )


class RefusingLoop(asyncio.AbstractEventLoop):
    """Base of an event loop that refuses operating system resources."""

    def call_soon_threadsafe(self, *args: Any, **options: Any) -> Any:  # type: ignore[override]
        _refuse("call_soon_threadsafe", "a thread")

    def run_in_executor(self, *args: Any, **options: Any) -> Any:  # type: ignore[override]
        _refuse("run_in_executor", "a thread")

    def set_default_executor(self, *args: Any, **options: Any) -> Any:
        _refuse("set_default_executor", "a thread")

    def add_reader(self, *args: Any, **options: Any) -> Any:  # type: ignore[override]
        _refuse("add_reader", "a file descriptor")

    def remove_reader(self, *args: Any, **options: Any) -> Any:
        _refuse("remove_reader", "a file descriptor")

    def add_writer(self, *args: Any, **options: Any) -> Any:  # type: ignore[override]
        _refuse("add_writer", "a file descriptor")

    def remove_writer(self, *args: Any, **options: Any) -> Any:
        _refuse("remove_writer", "a file descriptor")

    def add_signal_handler(self, *args: Any, **options: Any) -> Any:  # type: ignore[override]
        _refuse("add_signal_handler", "a signal")

    def remove_signal_handler(self, *args: Any, **options: Any) -> Any:
        _refuse("remove_signal_handler", "a signal")

    async def getaddrinfo(self, *args: Any, **options: Any) -> Any:
        _refuse("getaddrinfo", "a name server")

    async def getnameinfo(self, *args: Any, **options: Any) -> Any:
        _refuse("getnameinfo", "a name server")

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        _refuse("create_connection", "a socket")

    async def create_server(self, *args: Any, **options: Any) -> Any:
        _refuse("create_server", "a socket")

    async def create_unix_connection(self, *args: Any, **options: Any) -> Any:
        _refuse("create_unix_connection", "a socket")

    async def create_unix_server(self, *args: Any, **options: Any) -> Any:
        _refuse("create_unix_server", "a socket")

    async def create_datagram_endpoint(self, *args: Any, **options: Any) -> Any:
        _refuse("create_datagram_endpoint", "a socket")

    async def connect_accepted_socket(self, *args: Any, **options: Any) -> Any:
        _refuse("connect_accepted_socket", "a socket")

    async def start_tls(self, *args: Any, **options: Any) -> Any:
        _refuse("start_tls", "a socket")

    async def sendfile(self, *args: Any, **options: Any) -> Any:
        _refuse("sendfile", "a socket")

    async def sock_accept(self, *args: Any, **options: Any) -> Any:
        _refuse("sock_accept", "a socket")

    async def sock_connect(self, *args: Any, **options: Any) -> Any:
        _refuse("sock_connect", "a socket")

    async def sock_recv(self, *args: Any, **options: Any) -> Any:
        _refuse("sock_recv", "a socket")

    async def sock_recv_into(self, *args: Any, **options: Any) -> Any:
        _refuse("sock_recv_into", "a socket")

    async def sock_recvfrom(self, *args: Any, **options: Any) -> Any:
        _refuse("sock_recvfrom", "a socket")

    async def sock_recvfrom_into(self, *args: Any, **options: Any) -> Any:
        _refuse("sock_recvfrom_into", "a socket")

    async def sock_sendall(self, *args: Any, **options: Any) -> Any:
        _refuse("sock_sendall", "a socket")

    async def sock_sendfile(self, *args: Any, **options: Any) -> Any:
        _refuse("sock_sendfile", "a socket")

    async def sock_sendto(self, *args: Any, **options: Any) -> Any:
        _refuse("sock_sendto", "a socket")

    async def connect_read_pipe(self, *args: Any, **options: Any) -> Any:
        _refuse("connect_read_pipe", "a pipe")

    async def connect_write_pipe(self, *args: Any, **options: Any) -> Any:
        _refuse("connect_write_pipe", "a pipe")

    async def subprocess_exec(self, *args: Any, **options: Any) -> Any:
        _refuse("subprocess_exec", "another process")

    async def subprocess_shell(self, *args: Any, **options: Any) -> Any:
        _refuse("subprocess_shell", "another process")
