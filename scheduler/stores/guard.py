"""A server that can't outlive this process: a shell reads a pipe that only this process holds, and ends the server when
the pipe closes, however the process died.

The pipes are our own and not asyncio's, which closes them (and so ends the server) when the shell dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence

from voxpool.scheduler.errors import StoreUnavailable

START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 2.0

# $1 is the folder, the rest the server and its arguments. Prints the server's process id, then waits for its end. A
# line on stdin is the signal for the server; the end of stdin means that the scheduler is dead: it removes the folder
# and ends the server. The server holds stdout as its descriptor 4: its end is the end of both, even when the shell went
# first.
_SHELL = """
folder=$1; shift
exec 3<&0
"$@" 4>&1 </dev/null >/dev/null 2>&1 3<&- &
server=$!
(
  read -r signal || { rm -rf "$folder"; signal=KILL; }
  kill -$signal $server
) <&3 >/dev/null 2>&1 &
watcher=$!
exec 3<&-
echo $server
wait $server
status=$?
kill $watcher 2>/dev/null
exit $status
"""


class GuardedServer:
    """The server that `command` starts, and its guard. `folder` is removed when this process dies without `end`."""

    def __init__(self) -> None:
        self._shell: asyncio.subprocess.Process
        self._signals: int
        """Where the guard reads the signal for the server."""
        self._output: asyncio.StreamReader
        """The server's process id, then nothing until both are gone."""
        self._pid: int
        self._ours: contextlib.ExitStack
        """What has to be closed when they are gone."""

    @classmethod
    async def start(cls, command: Sequence[str], folder: str, keep: Sequence[int] = ()) -> GuardedServer:
        """Start it; both inherit the descriptors of `keep`. Raises StoreUnavailable and OSError."""
        self = cls()
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            signals_end, self._signals = os.pipe()
            theirs.callback(os.close, signals_end)
            ours.callback(os.close, self._signals)
            output_end, output = os.pipe()
            theirs.callback(os.close, output)
            self._output = asyncio.StreamReader()
            output_transport, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(self._output), os.fdopen(output_end, "rb", 0)
            )
            ours.callback(output_transport.close)
            self._shell = await asyncio.create_subprocess_exec(
                *("sh", "-c", _SHELL, "voxpool-guard", folder, *command),
                stdin=signals_end,
                stdout=output,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C must not end the server: the last calls still go to it
                pass_fds=keep,
            )
            theirs.close()
            ours.callback(self._signal, "KILL")
            try:
                async with asyncio.timeout(START_TIMEOUT_S):
                    self._pid = int(await self._output.readline())
            except (TimeoutError, ValueError):
                raise StoreUnavailable(f"the guard of {command[0]} did not start") from None
            self._ours = ours.pop_all()
        return self

    @property
    def exit_code(self) -> int | None:
        """What the guard ended with: the server's own exit code, unless the guard was killed; None while it runs."""
        return self._shell.returncode

    @property
    def pid(self) -> int:
        """The process id of the server; 0 when its guard isn't running."""
        return self._pid if self.exit_code is None else 0

    async def wait(self) -> None:
        """Return when the guard has ended."""
        await self._shell.wait()

    async def end(self, signal_name: str, within_s: float = STOP_TIMEOUT_S) -> None:
        """Let the guard send the signal to the server, and see that both are gone; after `within_s` by SIGKILL."""
        with self._ours:
            self._signal(signal_name)
            try:
                async with asyncio.timeout(within_s):
                    await self._output.read()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._pid, signal.SIGKILL)
                with contextlib.suppress(ProcessLookupError):
                    self._shell.kill()  # a stopped guard would be waited for
            await self._shell.wait()

    def _signal(self, signal_name: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # both are gone
            os.write(self._signals, f"{signal_name}\n".encode())
