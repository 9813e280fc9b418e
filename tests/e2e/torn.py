"""Connections of clients, nodes and browsers that break without a goodbye, at every point of the protocol.

`python -m tests.e2e.torn PORT FIRST LAST` breaks the connections with these numbers at the scheduler on that port and
prints the number of each kind, as JSON.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import msgspec
import uvloop

from tests.e2e.bare_peer import CLOSE, PATIENCE_S, BarePeer, client, encoded, frame, handshake, node
from voxpool.scheduler.protocol.codec import to_client
from voxpool.scheduler.protocol.messages import (
    Accepted,
    Assign,
    CancelAttempt,
    Error,
    Heartbeat,
    Hello,
    JobResult,
    NodeResult,
    Register,
    Registered,
    RejectedSubmit,
    Submit,
    Welcome,
)

AT_ONCE = 40
AUDIO = b"RIFF\x00\x00\x00\x00WAVE" + bytes(2000)
NOBODYS, SWIFT, TORN, SPARE = "nobody:en", "swift:en", "torn:en", "spare:en"
"""Pairs: one without a node; one whose node answers at once; one whose nodes are torn; one of nodes without a job."""
OFFERED = 2 * AT_ONCE
"""The number of jobs for the torn nodes, at any time."""
EXPIRES_MS = 1000
"""The number of jobs without a node: some stay after their client has left."""
HTTP = "HTTP/1.1\r\nHost: 127.0.0.1\r\n"
BEAT_S = 10.0
TAKEN_S = 0.02
"""By then a request that must not be answered has usually been read, which is sufficient."""


OnAssign = Callable[[BarePeer, Assign], bool]
"""Takes the node and the messages that it received; returns True while it works on them."""


class Tearer:
    """Opens connections to `port` and breaks each at its own point, alternately by RST and FIN."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.torn: Counter[str] = Counter()
        self._held = ""
        """The pair of the node in this process that never answers."""
        self._assigned: dict[str, asyncio.Event] = {}
        """Jobs of that pair that were submitted here, or have arrived at the node."""

    async def run(self, first: int, last: int) -> None:
        """Break the connections `first` up to before `last`, several at a time, beside peers that stay."""
        self._held = f"held-{first}:en"
        holder = await self._node(f"holder-{first}", self._held, 1000, self._holds)
        swift = await self._node(f"swift-{first}", SWIFT, 1000, _answer)
        offers = Offers()
        await offers.open(self.port, f"offers-{first}")
        numbers = iter(range(first, last))
        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(self._tear(numbers))
        for peer in (offers.peer, holder, swift):
            peer.write(frame(b"\x03\xe8", CLOSE))

    async def _tear(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            point = list(POINTS)[number // 2 % len(POINTS)]
            peer = await POINTS[point](self, number)
            if number % 2:
                peer.reset()
            else:
                peer.end()
            self.torn[f"{point}, {'RST' if number % 2 else 'FIN'}"] += 1

    # ---- peers that stay

    async def _node(self, node_id: str, pair: str, slots: int, on_assign: OnAssign) -> BarePeer:
        there = asyncio.Event()
        running: dict[str, int] = {}

        def received(message: object) -> None:
            there.set()
            if isinstance(message, Assign) and on_assign(peer, message):
                running[message.job_id] = message.attempt
            elif isinstance(message, CancelAttempt):
                running.pop(message.job_id, None)

        def beat() -> None:
            if not peer.gone:
                peer.send_message(Heartbeat(list(running.items())))
                asyncio.get_running_loop().call_later(BEAT_S, beat)

        peer = await node(self.port, received)
        peer.send_message(Register(node_id, node_id, [pair], slots, []))
        async with asyncio.timeout(PATIENCE_S):
            await there.wait()
        beat()
        return peer

    def _holds(self, holder: BarePeer, assign: Assign) -> bool:
        self._assigned.setdefault(assign.job_id, asyncio.Event()).set()
        return True

    # ---- clients

    async def connected(self, number: int) -> BarePeer:
        return await BarePeer.connect(self.port, to_client)

    async def half_a_handshake(self, number: int) -> BarePeer:
        peer = await self.connected(number)
        peer.write(handshake("/ws/session")[: 1 + number % 150])
        return peer

    async def handshake_without_reading(self, number: int) -> BarePeer:
        peer = await self.connected(number)
        peer.write(handshake("/ws/session"))
        return peer

    async def before_hello(self, number: int) -> BarePeer:
        return await client(self.port)

    async def half_a_hello(self, number: int) -> BarePeer:
        peer = await client(self.port)
        whole = encoded(Hello(session_id=f"s-{number}"))
        peer.write(whole[: 1 + number % (len(whole) - 1)])
        return peer

    async def after_hello(self, number: int) -> BarePeer:
        peer = await client(self.port)
        peer.send_message(Hello(session_id=f"s-{number}", in_order=number % 3 == 0))
        await peer.answer(Welcome)
        return peer

    async def half_a_submit(self, number: int) -> BarePeer:
        peer = await self.after_hello(number)
        whole = encoded(Submit(f"r-{number}", NOBODYS, AUDIO))
        peer.write(whole[: 1 + number % (len(whole) - 1)])
        return peer

    async def waiting(self, number: int) -> BarePeer:
        return (await self._submitted(number, NOBODYS))[0]

    async def dispatched(self, number: int) -> BarePeer:
        peer, job_id = await self._submitted(number, self._held)
        assigned = self._assigned.setdefault(job_id, asyncio.Event())
        async with asyncio.timeout(PATIENCE_S):
            await assigned.wait()
        del self._assigned[job_id]
        return peer

    async def result_on_its_way(self, number: int) -> BarePeer:
        return (await self._submitted(number, SWIFT))[0]

    async def close_without_an_end(self, number: int) -> BarePeer:
        peer = (await self._submitted(number, NOBODYS))[0]
        peer.write(frame(b"\x03\xe8", CLOSE)[: 1 + number % 8])
        return peer

    async def _submitted(self, number: int, pair: str) -> tuple[BarePeer, str]:
        peer = await self.after_hello(number)
        expires_ms = EXPIRES_MS if pair == NOBODYS else None
        peer.send_message(Submit(f"r-{number}", pair, AUDIO, timeout_ms=expires_ms, session_affinity=number % 5 == 0))
        accepted: Accepted = await peer.answer(Accepted)
        return peer, accepted.job_id

    # ---- HTTP

    async def half_a_body(self, number: int) -> BarePeer:
        peer = await self.connected(number)
        peer.write(f"POST /v1/jobs?pair={NOBODYS} {HTTP}Content-Length: {len(AUDIO)}\r\n\r\n".encode() + AUDIO[:99])
        return peer

    async def half_a_form(self, number: int) -> BarePeer:
        peer = await self.connected(number)
        kind = f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(AUDIO)}\r\n"
        part = f'--x\r\nContent-Disposition: form-data; name="pair"\r\n\r\n{NOBODYS}\r\n--x\r\nContent-'
        peer.write(f"POST /v1/jobs {HTTP}{kind}\r\n{part}".encode()[: -1 - number % 30])
        return peer

    async def long_poll(self, number: int) -> BarePeer:
        peer = await self.connected(number)
        query = f"pair={NOBODYS}&wait_s=60&timeout_ms={EXPIRES_MS}"
        peer.write(f"POST /v1/jobs?{query} {HTTP}Content-Length: {len(AUDIO)}\r\n\r\n".encode() + AUDIO)
        await asyncio.sleep(TAKEN_S)
        return peer

    async def half_an_answer(self, number: int) -> BarePeer:
        peer = await self.connected(number)
        peer.write(f"GET /v1/jobs {HTTP}\r\nGET /docs {HTTP}\r\nGET /v1/jobs {HTTP}\r\n".encode())
        await peer.reply()
        return peer

    async def watching(self, number: int) -> BarePeer:
        peer = await self.connected(number)
        peer.write(f"GET /v1/dashboard {HTTP}\r\n".encode())
        assert (await peer.reply()).startswith(b"HTTP/1.1 200")
        return peer

    # ---- nodes

    async def before_register(self, number: int) -> BarePeer:
        return await node(self.port)

    async def half_a_register(self, number: int) -> BarePeer:
        peer = await node(self.port)
        whole = encoded(Register(f"n-{number}", "p", [SPARE], 1, []))
        peer.write(whole[: 1 + number % (len(whole) - 1)])
        return peer

    async def register_without_reading(self, number: int) -> BarePeer:
        peer = await node(self.port)
        peer.send_message(Register(f"n-{number}", "p", [TORN], 1, []))
        return peer

    async def registered(self, number: int) -> BarePeer:
        return await self._registered(number, SPARE)

    async def half_a_beat(self, number: int) -> BarePeer:
        peer = await self._registered(number, SPARE)
        peer.write(encoded(Heartbeat([("nobodys", 1)])) + encoded(Heartbeat([]))[: 1 + number % 8])
        return peer

    async def holding(self, number: int) -> BarePeer:
        peer = await self._registered(number, TORN)
        await peer.answer(Assign)
        return peer

    async def half_a_result(self, number: int) -> BarePeer:
        peer = await self._registered(number, TORN)
        assign: Assign = await peer.answer(Assign)
        whole = encoded(NodeResult(assign.job_id, assign.attempt, output="x" * 300))
        peer.write(whole[: 1 + number % (len(whole) - 1)])
        return peer

    async def _registered(self, number: int, pair: str) -> BarePeer:
        peer = await node(self.port)
        peer.send_message(Register(f"n-{number}", "p", [pair], 1, []))
        await peer.answer(Registered)
        return peer


POINTS: dict[str, Callable[[Tearer, int], Awaitable[BarePeer]]] = {
    function.__name__.replace("_", " "): function
    for function in (
        *(Tearer.connected, Tearer.half_a_handshake, Tearer.handshake_without_reading),
        *(Tearer.before_hello, Tearer.half_a_hello, Tearer.after_hello, Tearer.half_a_submit),
        *(Tearer.waiting, Tearer.dispatched, Tearer.result_on_its_way, Tearer.close_without_an_end),
        *(Tearer.half_a_body, Tearer.half_a_form, Tearer.long_poll, Tearer.half_an_answer, Tearer.watching),
        *(Tearer.before_register, Tearer.half_a_register, Tearer.register_without_reading),
        *(Tearer.registered, Tearer.half_a_beat, Tearer.holding, Tearer.half_a_result),
    )
}


class Offers:
    """A client that stays connected and always has jobs for the torn nodes."""

    peer: BarePeer

    def __init__(self) -> None:
        self._number = itertools.count()
        self._name = ""

    async def open(self, port: int, name: str) -> None:
        """Send hello and submit."""
        self._name = name
        self.peer = await client(port, self._heard)
        self.peer.send_message(Hello(session_id=name))
        for _ in range(OFFERED):
            self._submit()

    def _submit(self) -> None:
        self.peer.send_message(Submit(f"{self._name}-{next(self._number)}", TORN, AUDIO))

    def _heard(self, message: object) -> None:
        assert not isinstance(message, Error | RejectedSubmit), message
        if isinstance(message, JobResult):
            self._submit()


def _answer(swift: BarePeer, assign: Assign) -> bool:
    swift.send_message(NodeResult(assign.job_id, assign.attempt, output=assign.audio[:4].decode()))
    return False


async def _main(port: int, first: int, last: int) -> None:
    tearer = Tearer(port)
    await tearer.run(first, last)
    sys.stdout.write(msgspec.json.encode(tearer.torn).decode())


if __name__ == "__main__":
    uvloop.run(_main(*map(int, sys.argv[1:4])))
