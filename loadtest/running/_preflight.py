"""Checks before users are spawned: scheduler, version, tokens, nodes, limits of connections and files.

Each error is one line that also says what to do. Nothing here needs Locust.
"""

from __future__ import annotations

import resource
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.sync.client import connect

from voxpool.loadtest.options._options import DEFAULT_HOST, LoadOptions
from voxpool.scheduler import __version__
from voxpool.scheduler.config import Settings
from voxpool.scheduler.errors import ConfigError, VoxpoolError
from voxpool.scheduler.sdk.errors import SchedulerUnreachable, TokenRefused
from voxpool.scheduler.sdk.http import HttpClient
from voxpool.scheduler.sdk.wire.tls import tls_context
from voxpool.scheduler.sentences import wrong
from voxpool.scheduler.service.open_files import BESIDE_CONNECTIONS, allow, wanted
from voxpool.scheduler.telemetry.checkup import Checkup

PATIENCE_S = 5.0
PAIRS_NAMED = 3
FILES_A_CLIENT = 2
"""Open files of one client user: its connection, and one that is being opened or closed."""


class CannotLoad(ConfigError):
    """A load test can't be run with these options; the text says why, and what to do."""


class Seen(msgspec.Struct, frozen=True):
    """A scheduler's report before the load; settings and store are empty without an admin's token."""

    version: str
    needs_tokens: bool
    settings: dict[str, Any] = {}
    store: dict[str, Any] = {}
    open_files_max: int | None = None
    left_out: str = ""
    """Reason why there are no settings."""

    @property
    def cleanup_interval_s(self) -> float | None:
        """Time between two sweeps of finished jobs; 0 = never, None = not known."""
        return self.settings.get("cleanup_interval_s")


def examine(host: str, options: LoadOptions, clients: int, nodes: int) -> Seen:
    """Check the scheduler at `host` for a load of this number of users. Raises CannotLoad."""
    try:
        with _client(host, options, options.client_token) as client:
            seen = _ask(client, host, options)
    except ConfigError as error:
        raise error if isinstance(error, CannotLoad) else CannotLoad(f"--host: {error}") from None
    if seen.needs_tokens and not options.client_token:
        raise CannotLoad(
            "--client-token: the scheduler requires tokens: make one with "
            "`voxpool token load-client --role client --access-file TOKENS` (its --access-file), then send it SIGHUP"
        )
    if seen.needs_tokens and nodes and not options.node_token:
        raise CannotLoad(
            "--node-token: the scheduler requires tokens of nodes, too: make one with `voxpool token load-node --role "
            "node --access-file TOKENS` (its --access-file), then send it SIGHUP; or give --nodes 0"
        )
    for role, token, path in (("client", options.client_token, "session"), ("node", options.node_token, "node")):
        if token and (role == "client" or nodes):
            _try_token(host, options, role, token, path)
    _room_there(seen, clients + nodes)
    return seen


def served_there(host: str, options: LoadOptions, pairs: Sequence[str]) -> str:
    """Check that the scheduler has nodes for all `pairs`, as this load brings none; return why that is unknown, or "".

    Raises CannotLoad.
    """
    try:
        with _client(host, options, options.admin_token) as admin:
            served = {pool.pair for pool in admin.pools() if pool.nodes}
    except VoxpoolError as error:
        return f"GET /v1/pools: {error}"
    missing = [pair for pair in pairs if pair not in served]
    if missing:
        more = f" and {len(missing) - PAIRS_NAMED} more" if missing[PAIRS_NAMED:] else ""
        named = ", ".join(missing[:PAIRS_NAMED]) + more
        raise CannotLoad(
            f"no node: this load brings none, and the scheduler has none for {named}: start some with "
            f"`voxpool node --id NAME --pairs {missing[0]}`, or give --nodes"
        )
    return ""


def room_here(clients: float, others: float) -> None:
    """Raise the limit of open files to the number that these users need. Raises CannotLoad."""
    needed = round(clients * FILES_A_CLIENT + others) + BESIDE_CONNECTIONS
    allowed = allow(needed)
    if allowed < needed:
        raise CannotLoad(
            f"open files: this process may have {allowed} and needs {needed} for its users: raise the limit of the "
            f"machine (ulimit -Hn {needed}), ask for fewer users or --nodes, or spread them over workers"
        )


def files_allowed() -> int | None:
    """Return the maximum number of open files of this process; None = unlimited."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return None if hard == resource.RLIM_INFINITY else hard


def _ask(client: HttpClient, host: str, options: LoadOptions) -> Seen:
    try:
        alive = client.show("/healthz")
        if alive != {"status": "ok"}:
            raise CannotLoad(f"--host {host}: GET /healthz does not answer as a scheduler does: check host and port")
        version = str(client.show("/openapi.json").get("info", {}).get("version"))
    except SchedulerUnreachable as error:
        raise CannotLoad(_unreachable(host, error)) from None
    except VoxpoolError as error:
        raise CannotLoad(f"--host {host}: {error}: is it a scheduler?") from None
    if version != __version__:
        raise CannotLoad(
            f"--host {host}: the scheduler is version {version}, this load test {__version__}: update the older one"
        )
    return _checkup(host, options, _needs_tokens(client), version)


def _needs_tokens(client: HttpClient) -> bool:
    """True when clients need a token. Raises CannotLoad when the one given is refused."""
    try:
        list(client.jobs(limit=1))
    except TokenRefused as refused:
        if client.has_token:
            raise CannotLoad(f"--client-token: the scheduler refuses it: {refused.detail}") from None
        return True
    except VoxpoolError as error:
        raise CannotLoad(f"--host: GET /v1/jobs: {error}") from None
    return client.has_token


def _checkup(host: str, options: LoadOptions, needs_tokens: bool, version: str) -> Seen:
    try:
        with _client(host, options, options.admin_token) as admin:
            checkup = msgspec.convert(admin.show("/v1/debug/checkup"), Checkup)
    except TokenRefused as refused:
        if options.admin_token:
            raise CannotLoad(f"--admin-token: the scheduler refuses it: {refused.detail}") from None
        return Seen(version, True, left_out="no --admin-token was given")
    except msgspec.ValidationError as error:
        return Seen(version, needs_tokens, left_out=f"/v1/debug/checkup: {wrong(error).sentence}")
    except VoxpoolError as error:
        return Seen(version, needs_tokens, left_out=f"/v1/debug/checkup: {error}")
    store = {} if checkup.store is None else msgspec.to_builtins(checkup.store)
    return Seen(version, checkup.needs_tokens, checkup.settings, store, checkup.open_files_max)


def _try_token(host: str, options: LoadOptions, role: Literal["client", "node"] | str, token: str, path: str) -> None:
    """Open a WebSocket as that role does, and close it."""
    url = f"{host.rstrip('/').replace('http', 'ws', 1)}/ws/{path}"
    tls = tls_context(options.ca_file or None) if url.startswith("wss") else None
    headers = {"Authorization": f"Bearer {token}"}
    try:
        with connect(url, additional_headers=headers, ssl=tls, open_timeout=PATIENCE_S, proxy=None):
            pass
    except InvalidStatus as refused:
        status = refused.response.status_code
        if status in (401, 403):
            why = "the token is unknown" if status == 401 else "that token has another role"
            raise CannotLoad(f"--{role}-token: the scheduler refuses it: {why}") from None
        raise CannotLoad(f"--host {host}: {url} answers {status}") from None
    except (OSError, InvalidHandshake) as error:
        raise CannotLoad(f"--host {host}: {url}: {error}") from None


def _room_there(seen: Seen, connections: int) -> None:
    known = {name: seen.settings[name] for name in ("connections_max", "nodes_max") if name in seen.settings}
    if not known or seen.open_files_max is None:
        return
    settings = msgspec.convert(known, Settings, strict=False)
    if connections > settings.connections_max:
        raise CannotLoad(
            f"connections: the scheduler accepts {settings.connections_max}, this load needs {connections}: raise its "
            "setting connections_max, or ask for fewer users"
        )
    if wanted(connections) > seen.open_files_max:
        raise CannotLoad(
            f"open files: the scheduler may have {seen.open_files_max}, this load needs {wanted(connections)}: "
            f"start it after `ulimit -n {wanted(connections)}`, or ask for fewer users"
        )


def _client(host: str, options: LoadOptions, token: str) -> HttpClient:
    return HttpClient(host, token=token, ca_file=options.ca_file or None, patience_s=PATIENCE_S)


def _unreachable(host: str, error: SchedulerUnreachable) -> str:
    if host != DEFAULT_HOST:
        return f"--host {error}"
    return f"--host {error}; or let --with-scheduler start a scheduler for this run"
