"""A scheduler with tokens for the tests: its own token file, and requests and sockets in any role."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection

from tests.e2e.processes import PATIENCE_S, Scheduler, wait_until
from tests.unit.log_rules import traces_of
from voxpool.scheduler.security.caller import Caller, Role
from voxpool.scheduler.security.tokens import append_token, entry_text, new_token

WRONG = "vxp_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
NAMES = {"ann": Role.CLIENT, "bob": Role.CLIENT, "gpu": Role.NODE, "cpu": Role.NODE}
NAMES |= {"root": Role.ADMIN, "boss": Role.ADMIN, "prometheus": Role.METRICS}
A_NAME = {role: next(name for name in NAMES if NAMES[name] is role) for role in Role}


class Keys:
    """A token file in `folder`, and the secrets that belong to it."""

    def __init__(self, folder: Path, names: Iterable[str] = NAMES, rates: dict[str, float] | None = None) -> None:
        self.file = folder / "tokens.toml"
        self.secrets: dict[str, str] = {}
        self.callers: dict[str, Caller] = {}
        for name in names:
            secret, caller = new_token(name, NAMES[name], rate_per_s=(rates or {}).get(name))
            self.secrets[name] = secret
            self.callers[name] = caller
            append_token(self.file, caller)

    def write(self, callers: Iterable[Caller]) -> None:
        """Write a file with the tokens of `callers` only."""
        self.file.write_text("".join(entry_text(caller) for caller in callers))

    def header(self, name: str | None) -> dict[str, str]:
        """Return the header with the token of `name`; without a name, no header."""
        return {} if name is None else {"authorization": f"Bearer {self.secrets.get(name, WRONG)}"}

    def shown_in(self, text: bytes) -> list[str]:
        """Return the names whose secret or hash occurs in `text`, in any encoding."""
        needles = [(name, secret) for name, secret in self.secrets.items()]
        needles += [(name, secret.removeprefix("vxp_")) for name, secret in needles]
        needles += [(f"hash of {name}", caller.digest) for name, caller in self.callers.items()]
        needles += [("nobody's", WRONG)]
        found = {who for who, needle in needles if traces_of(needle.encode(), text)}
        digests = {who: bytes.fromhex(caller.digest) for who, caller in self.callers.items()}
        return sorted(found | {f"digest of {who}" for who, digest in digests.items() if traces_of(digest, text)})


class Secured(Scheduler):
    """A scheduler with the token file of `keys`; it logs everything. `get` sends the admin's token."""

    def __init__(
        self,
        folder: Path,
        keys: Keys,
        *flags: str,
        name: str = "secured",
        verify: Any = True,
        store: str = "memory",
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.keys = keys
        self.verify = verify
        access = ("--access-file", str(keys.file), "--log-level", "debug")
        super().__init__(folder, store, *access, *flags, name=name, patience_s=patience_s)

    def get(self, path: str) -> Any:
        """Return the answer to a GET by an admin."""
        return self.ask("root", "GET", path).json()

    def ask(self, who: str | None, method: str, path: str, **options: Any) -> httpx.Response:
        """Return the answer to a request by `who`."""
        headers = {**self.keys.header(who), **options.pop("headers", {})}
        return httpx.request(
            method, self.url + path, headers=headers, verify=self.verify, trust_env=False, timeout=30, **options
        )

    def hang_up(self, event: str = "tokens_loaded") -> dict[str, Any]:
        """Send SIGHUP and return the log line with its outcome."""
        before = len(self.events(event))
        self.signal(signal.SIGHUP)
        return wait_until(lambda: self.events(event)[before:])[0]


async def next_message(socket: ClientConnection) -> dict[str, Any]:
    """Return the next message, which is JSON."""
    message: dict[str, Any] = json.loads(await socket.recv())
    return message
