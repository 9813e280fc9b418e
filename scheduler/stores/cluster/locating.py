"""Where the primary of a slot is: always the same server, what a cluster's nodes say, or what Sentinels say.

An answer is kept until a flush has failed (`doubt`): whatever the reason was, the nodes are asked again, and each time
another one first, since one that is cut off from the others still names the primary of before.
"""

from __future__ import annotations

import asyncio
import binascii
import contextlib
from collections.abc import Sequence
from typing import Any, Protocol

from voxpool.scheduler.errors import StoreUnavailable
from voxpool.scheduler.stores.answers import asked
from voxpool.scheduler.stores.cluster.addresses import CLUSTER, SENTINEL, Address, Host
from voxpool.scheduler.stores.meanings import TOPOLOGY
from voxpool.scheduler.stores.redis import pool_of
from voxpool.scheduler.stores.shown import without_password

SLOTS = 16_384
ASK_S = 1.0
"""For the question to one node; another one is asked when it takes longer."""
KEEP_S = 1.0
"""How long the answer of a Sentinel is used before the next question."""
NODES_MAX = 64
"""Nodes of a cluster that are remembered for the next question."""


def slot_of(key: str) -> int:
    """Return the slot of a key with a hash tag (Redis Cluster specification)."""
    tag = key[key.index("{") + 1 : key.index("}")]
    return binascii.crc_hqx(tag.encode(), 0) % SLOTS


class Locator(Protocol):
    """Finds primaries."""

    async def locate(self, slot: int) -> str:
        """Return the URL of the primary that serves `slot`. Raises StoreUnavailable."""
        ...

    def doubt(self) -> None:
        """What is known may be out of date."""
        ...

    async def close(self) -> None:
        """Ask nobody any more."""
        ...


def locator_of(address: Address) -> Locator:
    """Return what finds the primaries of `address`."""
    if address.kind == CLUSTER:
        return ClusterMap(address)
    return Sentinels(address) if address.kind == SENTINEL else OneServer(address)


class OneServer:
    """A server that has all slots."""

    def __init__(self, address: Address) -> None:
        self._url = address.url

    async def locate(self, slot: int) -> str:
        """Return its URL."""
        return self._url

    def doubt(self) -> None:
        """It is the only one."""

    async def close(self) -> None:
        """Nobody is asked."""


class _Asking:
    """Asks one of several nodes, and keeps the answer; those that wait for it share one question."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._shown = without_password(address.url)
        self._nodes = list(address.hosts)
        self._is_known = False
        self._asking = asyncio.Lock()

    def doubt(self) -> None:
        """Ask again before the next use."""
        self._is_known = False

    async def close(self) -> None:
        """Each question ends with its answer."""

    async def _know(self, again: bool = False) -> None:
        async with self._asking:
            if self._is_known and not again:
                return
            why = ""
            for _ in range(len(self._nodes)):
                node = self._nodes.pop(0)
                self._nodes.append(node)
                try:
                    why = await self._ask(node)
                except StoreUnavailable as error:
                    why = str(error)
                if not why:
                    self._is_known = True
                    return
            raise StoreUnavailable(f"{self._shown}: no node names the primary now, the last says: {why}", TOPOLOGY)

    async def _ask(self, node: Host) -> str:
        """Ask `node` and keep its answer; return "", or why it is of no use."""
        raise NotImplementedError


class ClusterMap(_Asking):
    """The slots of a Redis Cluster."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._ranges: list[tuple[int, int, Host]] = []
        self._urls: dict[int, str] = {}
        """Slots that were asked for -> the URLs of their primaries."""

    async def locate(self, slot: int) -> str:
        """Return the URL of the primary that serves `slot`. Raises StoreUnavailable."""
        if not self._is_known:
            await self._know()
        if slot in self._urls:
            return self._urls[slot]
        for first, last, host in self._ranges:
            if first <= slot <= last:
                self._urls[slot] = url = self._address.url_of(host)
                return url
        self.doubt()
        raise StoreUnavailable(f"{self._shown}: no primary serves slot {slot} now", TOPOLOGY)

    async def _ask(self, node: Host) -> str:
        rows = await _answer(self._address.url_of(node), "CLUSTER SLOTS")
        if not isinstance(rows, list) or not rows:
            return f"{node.host}:{node.port} knows no slots"
        ranges, nodes = list[tuple[int, int, Host]](), dict[Host, None]()
        for first, last, *servers in rows:
            hosts = [_host_in(server, node) for server in servers]
            ranges.append((int(first), int(last), hosts[0]))
            nodes.update(dict.fromkeys(hosts))
        self._ranges, self._urls = ranges, {}
        others = [host for host in self._nodes if host not in nodes]
        known = [host for host in self._nodes if host in nodes] + [host for host in nodes if host not in self._nodes]
        # Those of the setting stay: all others may be replaced at once.
        self._nodes = (known + [host for host in others if host in self._address.hosts])[:NODES_MAX]
        return ""


class Sentinels(_Asking):
    """The primary that Sentinels name; it has all slots.

    They are asked again all the time: after a fail-over the old primary takes writes, which are lost, for up to ten
    seconds, until a Sentinel makes it a replica.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._url = ""
        self._asked_s = 0.0
        self._again: asyncio.Task[None] | None = None

    async def locate(self, slot: int) -> str:
        """Return the URL of the primary. Raises StoreUnavailable."""
        if not self._is_known:
            await self._know()
        elif asyncio.get_running_loop().time() > self._asked_s + KEEP_S and (self._again is None or self._again.done()):
            self._again = asyncio.create_task(self._ask_again())
        return self._url

    async def close(self) -> None:
        """Ask nobody any more."""
        if self._again is not None:
            self._again.cancel()
            await asyncio.gather(self._again, return_exceptions=True)

    async def _ask_again(self) -> None:
        """While no Sentinel answers, the primary of before may well be there."""
        with contextlib.suppress(StoreUnavailable):
            await self._know(again=True)

    async def _ask(self, node: Host) -> str:
        name, self._asked_s = self._address.name, asyncio.get_running_loop().time()
        found = await _answer(self._address.sentinel_url(node), "SENTINEL GET-MASTER-ADDR-BY-NAME", name)
        if not isinstance(found, list) or len(found) != 2:
            return f"Sentinel {node.host}:{node.port} knows no primary {name!r}"
        self._url = self._address.url_of(Host(str(found[0]), int(found[1])))
        return ""


def _host_in(server: Sequence[Any], asked_node: Host) -> Host:
    """Return the address of a server in CLUSTER SLOTS; one without a name is reached as the node that was asked."""
    host = str(server[0] or "")
    return Host(asked_node.host if host in ("", "?") else host, int(server[1]))


async def _answer(url: str, *command: str) -> Any:
    """Ask one server on a connection of its own. Raises StoreUnavailable."""
    connection = pool_of(url).make_connection()
    try:
        async with asked(without_password(url), command[0], ASK_S):
            await connection.connect()
            await connection.send_command(*command)
            return await connection.read_response()
    finally:
        await connection.disconnect(nowait=True)
