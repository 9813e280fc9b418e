"""Runs the commands of voxpool as a user does, and servers that are not schedulers."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from voxpool.scheduler.cli import main

Ran = CompletedProcess[str]

WITHIN_S = 60.0
COMMAND = (sys.executable, "-m", "voxpool.scheduler")


def clean_environment(**more: str) -> dict[str, str]:
    """Return this process's environment without settings of voxpool, plus `more`."""
    return {key: value for key, value in os.environ.items() if not key.startswith("VOXPOOL_")} | more


def voxpool(*arguments: str | Path, **environment: str) -> Ran:
    """Run a command to its end, as a process."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=clean_environment(**environment),
        timeout=WITHIN_S,
    )


def voxpool_here(*arguments: str | Path, **environment: str) -> Ran:
    """Run a command to its end in this process, from its arguments to its exit code, which is much faster."""
    message, complained = io.StringIO(), io.StringIO()
    command = ["voxpool", *map(str, arguments)]
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ.keys() - clean_environment().keys():
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", command)
        with redirect_stdout(message), redirect_stderr(complained), pytest.raises(SystemExit) as ended:
            main()
    assert isinstance(ended.value.code, int)
    return Ran(command, ended.value.code, message.getvalue(), complained.getvalue())


def one_line(done: Ran, code: int) -> str:
    """Return the only line that a command printed which failed with `code`."""
    assert (done.returncode, done.stdout) == (code, ""), (done.stdout, done.stderr)
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and "Traceback" not in lines[0], done.stderr
    return lines[0]


@contextlib.contextmanager
def stranger(answer: bytes, tls: ssl.SSLContext | None = None, received: list[bytes] | None = None) -> Iterator[int]:
    """A server that answers each request, which is added to `requests`, with `answer`, and closes; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError), tls.wrap_socket(peer, server_side=True) if tls else peer as asked:
                    request = asked.recv(65536)
                    if received is not None:
                        received.append(request)
                    asked.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(WITHIN_S)
