"""Faults of clients: each affects the client of one open request, which is drawn at random."""

from __future__ import annotations

import random
from typing import NamedTuple

from voxpool.sim.faults.kind import FaultKind, Target
from voxpool.sim.world.clients import Clients, Request


class Client(NamedTuple):
    """A client, identified by one of its requests."""

    clients: Clients
    request: Request

    @property
    def name(self) -> str:
        """The name that all its requests share."""
        return self.clients.client_of(self.request)


def draw_client(clients: Clients, random: random.Random) -> Client | None:
    """Return the client of one of the open requests, or None when there are none."""
    requests = list(clients.open.values())
    return Client(clients, requests[int(random.random() * len(requests))]) if requests else None


def client_named(clients: Clients, name: str) -> Client | None:
    """Return the client with the open request `name`, or the client `name` with its oldest one; None without any."""
    known = clients.open.get(name)
    requests = [known] if known else (one for one in clients.open.values() if clients.client_of(one) == name)
    return next((Client(clients, request) for request in requests), None)


def _disconnect(client: Client, random: random.Random) -> None:
    client.clients.leave(client.name)


def _come_back(client: Client, state: object) -> None:
    client.clients.come_back(client.name)


def _is_connected(client: Client) -> bool:
    return client.clients.is_connected


def _is_accepted(client: Client) -> bool:
    return client.clients.is_connected and client.request.job_id in client.clients.by_job


def _resubmit(client: Client, random: random.Random) -> None:
    client.clients.request_again(client.request)


def _cancel(client: Client, random: random.Random) -> None:
    client.clients.cancel(client.request)


CLIENT_FAULTS: dict[str, FaultKind] = {
    "client_disconnect": FaultKind(
        "its connection breaks; it reconnects and submits again the requests without an answer",
        Target.CLIENT,
        _disconnect,
        _come_back,
        _is_connected,
    ),
    "client_resubmit": FaultKind(
        "it submits a request a second time, under the same id", Target.CLIENT, _resubmit, can_strike=_is_accepted
    ),
    "client_cancel": FaultKind("it cancels a job", Target.CLIENT, _cancel, can_strike=_is_accepted),
}
