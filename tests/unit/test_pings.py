"""The pings of a server: each peer is asked, those that do not answer are cut off, and many at once take turns."""

from __future__ import annotations

import asyncio

import pytest
from websockets.frames import Opcode

from tests.unit.test_peer_socket import Pair, aborts, joined
from tests.unit.virtual import virtual
from voxpool.scheduler.config import Settings
from voxpool.scheduler.web.wire.pings import PEERS_A_TURN, ROUNDS_A_TIME, Pings

__all__ = ["aborts"]
EVERY_S = Settings().heartbeat_s
TIMEOUT_S = Settings().lease_s + EVERY_S
ROUND_S = EVERY_S / ROUNDS_A_TIME


def asked(pair: Pair) -> list[bytes]:
    """Return the pings that the client has received since the last call; its answers are kept."""
    return [bytes(event.data) for event in pair.received() if event.opcode is Opcode.PING]


def answer(pair: Pair) -> None:
    """Let the answers of the client arrive."""
    pair.socket.data_received(b"".join(pair.client.data_to_send()))


@virtual
async def test_a_peer_that_answers_is_asked_again_and_again(aborts: list[str]) -> None:
    pair = await joined(aborts)
    payloads = []
    for _ in range(50):
        await asyncio.sleep(EVERY_S - 0.1)
        assert asked(pair) == []
        await asyncio.sleep(ROUND_S + 0.2)
        payloads += asked(pair)
        answer(pair)
    assert len(set(payloads)) == len(payloads) == 50 and aborts == []
    pair.socket.connection_lost(None)


@virtual
async def test_one_that_answers_late_is_kept(aborts: list[str]) -> None:
    pair = await joined(aborts)
    for _ in range(3):
        await asyncio.sleep(EVERY_S + ROUND_S)
        await asyncio.sleep(TIMEOUT_S - 1)
        assert len(asked(pair)) == 1, "it is not asked twice"
        answer(pair)
    assert aborts == []
    pair.socket.connection_lost(None)


@pytest.mark.parametrize("sends", ["nothing", "messages", "other pongs"])
@virtual
async def test_one_that_does_not_answer_is_cut_off_whatever_it_sends(aborts: list[str], sends: str) -> None:
    """It may be one that has stopped reading."""
    pair = await joined(aborts)
    pair.socket.serve(lambda data, binary: True)
    for second in range(round(EVERY_S + TIMEOUT_S) + 1):
        assert aborts == [] or second >= EVERY_S + TIMEOUT_S
        await asyncio.sleep(1)
        if sends == "messages":
            pair.send(b"a heartbeat")
        elif sends == "other pongs":
            pair.client.send_pong(b"????")
            answer(pair)
    assert aborts == ["no_pong"]
    pair.socket.connection_lost(None)


@virtual
async def test_a_connection_that_is_gone_is_forgotten(aborts: list[str]) -> None:
    pair = await joined(aborts)
    await asyncio.sleep(EVERY_S + ROUND_S)
    assert len(asked(pair)) == 1
    pair.socket.connection_lost(None)
    pings = pair.socket.bounds.pings
    assert not pings._due_s and not pings._asked and pings._timer is None
    await asyncio.sleep(EVERY_S + TIMEOUT_S)
    assert aborts == []


class Crowd:
    """Counts how many of its peers are handled in one iteration of the loop."""

    def __init__(self) -> None:
        self.log: list[object] = []
        self.most = 0
        self._now = 0

    def note(self, what: object) -> None:
        self.log.append(what)
        self._now += 1
        if self._now == 1:
            asyncio.get_running_loop().call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self.most, self._now = max(self.most, self._now), 0


class Peer:
    """A peer of thousands."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd

    def send_ping(self, payload: bytes) -> None:
        self._crowd.note(payload)

    def keepalive_timeout(self) -> None:
        self._crowd.note(self)


@virtual
async def test_thousands_that_are_due_at_once_are_handled_in_turns() -> None:
    pings, crowd = Pings(EVERY_S, TIMEOUT_S), Crowd()
    peers = [Peer(crowd) for _ in range(20 * PEERS_A_TURN)]
    for peer in peers:
        pings.add(peer)
    for wait_s in (EVERY_S, TIMEOUT_S):
        crowd.log.clear()
        await asyncio.sleep(wait_s - 4 * ROUND_S)
        assert crowd.log == []
        await asyncio.sleep(6 * ROUND_S)
        assert len(crowd.log) == len(peers)
    assert crowd.most == PEERS_A_TURN
    assert crowd.log == peers and pings._timer is None, "the one that was asked first is cut off first"
