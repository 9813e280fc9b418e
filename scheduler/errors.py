"""The small tree of errors that voxpool raises; errors of redis, sockets and files are mapped to these at the seams."""

from __future__ import annotations

import re
from typing import Any

_WORD = re.compile(r"[a-z0-9_]{1,64}")


class VoxpoolError(Exception):
    """The base of the errors that voxpool raises. Its text says what is wrong and how to mend it."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Let a process raise what another one raised: `args` are not what `__init__` of each class takes."""
        return type(self)._made, self.args, self.__dict__

    @classmethod
    def _made(cls, *args: Any) -> VoxpoolError:
        return cls.__new__(cls, *args)


class ConfigError(VoxpoolError):
    """A setting, scenario or command-line value that can't be used."""


class CannotStart(VoxpoolError):
    """Something outside prevents the start, such as a port that is taken."""


class BadInput(VoxpoolError):
    """A message or request from outside that isn't well-formed. `reason` is a stable snake_case word."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Rejected(VoxpoolError):
    """A submit that was not accepted: nothing of it is kept.

    `reason` is a stable snake_case word; `retry_after_ms` is the time until the next try, None means that trying the
    same again is of no use.
    """

    def __init__(self, reason: str, detail: str, retry_after_ms: int | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.retry_after_ms = retry_after_ms


class NodeRefused(VoxpoolError):
    """A node that may not register now, such as a second process under the name of a living node."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class IllegalTransition(VoxpoolError):
    """An event came to a job or a node that is impossible in its state: a bug of ours. Nothing was changed."""


class StoreUnavailable(VoxpoolError):
    """The store did not answer, so it is unknown which of the calls were carried out. They can be repeated.

    `meaning` is the class of what it answered instead (stores/answers.py).
    """

    def __init__(self, detail: str, meaning: str = "not_now") -> None:
        super().__init__(detail)
        self.meaning = meaning


class ScriptFailed(VoxpoolError):
    """An error was raised inside one of our own Lua scripts: a bug. Repeating won't help."""


def word(reason: str) -> str:
    """Return `reason` if it is a stable word; a node may send any text, even what was spoken."""
    return reason if not reason or _WORD.fullmatch(reason) else "unworded"
