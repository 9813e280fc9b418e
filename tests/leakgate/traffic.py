"""Traffic for the server of foreign.py: a few connections that send orders at full speed, or at a rate."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException

CONNECTIONS = 2


class Traffic:
    """Orders from a few threads until it is stopped; at most `rate` a second for each, 0 = unlimited."""

    def __init__(self, port: int, rate: float = 0.0) -> None:
        self._port, self._pause_s = port, 1 / rate if rate else 0.0
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._order, daemon=True) for _ in range(CONNECTIONS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop the orders."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(10)

    def _order(self) -> None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            while not self._stopped.is_set():
                connection.request("GET", "/order")
                connection.getresponse().read()
                self._stopped.wait(self._pause_s) if self._pause_s else None
        except (OSError, HTTPException):  # the server ended, as some tests intend
            pass
        finally:
            connection.close()


@contextmanager
def traffic(port: int, rate: float = 0.0) -> Iterator[Traffic]:
    """Run the traffic during the block."""
    orders = Traffic(port, rate)
    try:
        yield orders
    finally:
        orders.stop()
