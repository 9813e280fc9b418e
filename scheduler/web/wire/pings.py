"""The pings of all WebSockets: each peer is asked again and again whether it is there, by one timer for all of them.

A round asks those that are due and cuts off those that owe an answer for too long. A peer has to answer even when it
sends messages: one that sends and reads nothing would else keep its connection, and no job would reach it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import NamedTuple, Protocol

from voxpool.scheduler.chance import unpredictable_bytes

ROUNDS_A_TIME = 60
"""Rounds in the time between two pings: a ping comes late by this part of it at most."""
PEERS_A_TURN = 50
"""Peers that a round handles before others get their turn: about 1 ms."""
PAYLOAD_BYTES = 4


class Pinged(Protocol):
    """One connection."""

    def send_ping(self, payload: bytes) -> None:
        """Send a ping; does nothing when the connection is closing."""

    def keepalive_timeout(self) -> None:
        """The peer has not answered in time."""


class _Asked(NamedTuple):
    until_s: float
    payload: bytes


class Pings:
    """Pings each peer `every_s` after its last answer; it has `timeout_s` to answer, which is no shorter."""

    def __init__(self, every_s: float, timeout_s: float) -> None:
        self._every_s = every_s
        self._timeout_s = timeout_s
        self._due_s: OrderedDict[Pinged, float] = OrderedDict()
        """When the next ping of each is due; the earliest first, as in `_asked`."""
        self._asked: OrderedDict[Pinged, _Asked] = OrderedDict()
        """Those that owe an answer."""
        self._timer: asyncio.TimerHandle | None = None

    def add(self, peer: Pinged) -> None:
        """Ping `peer` from now on."""
        self._due_s[peer] = self._loop.time() + self._every_s
        self._wait(self._every_s / ROUNDS_A_TIME)

    def remove(self, peer: Pinged) -> None:
        """Ping it no more; calling it again does nothing."""
        self._due_s.pop(peer, None)
        self._asked.pop(peer, None)
        if self._timer is not None and not self._due_s and not self._asked:
            self._timer.cancel()
            self._timer = None

    def answered(self, peer: Pinged, payload: bytes) -> None:
        """A pong has come; only one with what the last ping carried counts, since the peer has read that."""
        asked = self._asked.get(peer)
        if asked is not None and asked.payload == payload:
            del self._asked[peer]
            self._due_s[peer] = self._loop.time() + self._every_s

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    def _wait(self, least_s: float) -> None:
        """Wait for the first that is due, at most `every_s`: whoever is added meanwhile is due later than that."""
        if self._timer is None and (self._due_s or self._asked):
            firsts = [next(iter(self._due_s.values()))] if self._due_s else []
            if self._asked:
                firsts.append(next(iter(self._asked.values())).until_s)
            left_s = min(firsts) - self._loop.time()
            self._timer = self._loop.call_later(max(least_s, min(left_s, self._every_s)), self._round)

    def _round(self) -> None:
        self._timer = None
        now_s = self._loop.time()
        payload = unpredictable_bytes(PAYLOAD_BYTES)
        left = PEERS_A_TURN
        while left and self._due_s and next(iter(self._due_s.values())) <= now_s:
            left -= 1
            peer, _ = self._due_s.popitem(last=False)
            self._asked[peer] = _Asked(now_s + self._timeout_s, payload)
            peer.send_ping(payload)
        while left and self._asked and next(iter(self._asked.values())).until_s <= now_s:
            left -= 1
            peer, _asked = self._asked.popitem(last=False)
            peer.keepalive_timeout()
        self._wait(self._every_s / ROUNDS_A_TIME if left else 0.0)
