"""Counts the commands of a scheduler's scripts in its Redis or Valkey, by MONITOR.

MONITOR shows each call of a script and after it the commands of that call, because a script runs alone. It slows the
server down, so it is on for a few seconds only, in which no time is measured.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import msgspec
import redis

from voxpool.scheduler.stores.script_sources import load_sources

COMMANDS_MAX = 200_000
"""Maximum duration of a MONITOR."""
SILENCE_S = 2.0
_SELECT_HEAD = 4
"""Arguments of select_node before the first job: now, seed, choices, removals_max."""
_JOB_HEAD = 5
"""Arguments of each job: hold, pair, due, prefer, avoid_count; then avoid_count nodes follow."""
SELECT = "select_node"


class Calls(msgspec.Struct):
    """Completely observed calls of one script."""

    calls: int = 0
    commands: int = 0
    jobs: int = 0
    """Jobs that select_node was called for, one for each hold."""

    @property
    def commands_a_job(self) -> float | None:
        """Commands per job; None when there was no job."""
        return self.commands / self.jobs if self.jobs else None


class ScriptCommands:
    """Counts commands in the output of MONITOR. `names` is SHA-1 -> script."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.seen: dict[str, Calls] = {}
        self._names = names
        self._open: tuple[str, int] | None = None
        self._commands = 0

    def line(self, by_script: bool, command: str) -> None:
        """Count one line: a command with its arguments, from a script or from a client."""
        if by_script:
            self._commands += 1
            return
        self._close()
        words = command.split(" ")  # empty arguments count, too
        if words[0].upper() == "EVALSHA" and words[1] in self._names:
            name = self._names[words[1]]
            arguments = words[3 + int(words[2]) :]
            self._open = name, _jobs(arguments) if name == SELECT else 0

    def _close(self) -> None:
        """Count the call that has ended."""
        if self._open is not None:
            name, jobs = self._open
            calls = self.seen.setdefault(name, Calls())
            calls.calls += 1
            calls.commands += self._commands
            calls.jobs += jobs
        self._open, self._commands = None, 0


def watch(url: str, seconds: float) -> dict[str, Calls]:
    """Return the calls of all scripts at the server `url` in the next `seconds`. Raises redis.RedisError."""
    counting = ScriptCommands({source.sha1: name for name, source in load_sources().items()})
    end_s = time.monotonic() + seconds
    with (
        redis.Redis.from_url(url, decode_responses=True, socket_timeout=SILENCE_S) as client,
        client.monitor() as monitor,
    ):
        for _ in range(COMMANDS_MAX):
            if time.monotonic() >= end_s:
                break
            try:
                shown = monitor.next_command()
            except redis.TimeoutError:
                continue  # the server is idle
            counting.line(shown["client_type"] == "lua", shown["command"])
    return counting.seen


def _jobs(arguments: list[str]) -> int:
    jobs, place = 0, _SELECT_HEAD
    while place < len(arguments):
        jobs += 1
        place += _JOB_HEAD + int(arguments[place + _JOB_HEAD - 1])
    return jobs
