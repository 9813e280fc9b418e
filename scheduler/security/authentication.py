"""The present tokens, and the open connections that were accepted by them: those of a removed token end.

Without tokens every caller is ANYBODY.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from voxpool.scheduler.errors import VoxpoolError
from voxpool.scheduler.security.caller import ANYBODY, Caller
from voxpool.scheduler.security.tokens import Tokens

UNAUTHORIZED = "unauthorized"
FORBIDDEN = "forbidden"


class AccessRefused(VoxpoolError):
    """A request is denied. `reason` is unauthorized (no valid token) or forbidden (this token has not the right)."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Authentication:
    """Finds the caller of a token. `tokens` None = every caller is accepted."""

    def __init__(self, tokens: Tokens | None = None) -> None:
        self._tokens = tokens
        self.own_rates: dict[str, float] = {}
        """Digest of each token with a bound of its own on submits -> that bound, a second; always that of the present
        tokens."""
        self._note_rates()
        self._open: dict[object, tuple[Caller, Callable[[], None]]] = {}

    @property
    def connections(self) -> int:
        """How many connections and requests are open. No `__len__`: the object would be false at 0."""
        return len(self._open)

    @property
    def open_to_all(self) -> bool:
        """Whether no token is needed."""
        return self._tokens is None

    def caller(self, secret: str | None) -> Caller | None:
        """Return the caller whose token is `secret`, or None."""
        if self._tokens is None:
            return ANYBODY
        return None if secret is None else self._tokens.find(secret)

    def again(self, caller: Caller) -> Caller | None:
        """Return `caller`, found some time ago, by the present tokens; None when its token is gone."""
        return caller if self._tokens is None else self._tokens.again(caller)

    @contextlib.contextmanager
    def connection(self, caller: Caller, end: Callable[[], None]) -> Iterator[None]:
        """A context while something is open for `caller`; `end` is called when the token is removed meanwhile."""
        if self._tokens is None:
            yield
            return
        key = object()
        self._open[key] = (caller, end)
        try:
            yield
        finally:
            del self._open[key]

    def replace(self, tokens: Tokens) -> int:
        """Use `tokens` from now on; close the connections of removed tokens and return their number."""
        self._tokens = tokens
        self._note_rates()
        gone = [end for caller, end in self._open.values() if tokens.again(caller) is None]
        for end in gone:
            end()
        return len(gone)

    def _note_rates(self) -> None:
        self.own_rates.clear()
        if self._tokens is not None:
            self.own_rates.update(self._tokens.own_rates)
