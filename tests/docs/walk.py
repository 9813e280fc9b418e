"""Runs a scheduler with the memory store, a node and a client in one process, and prints the files that a job passes.

`python -m tests.docs.walk` prints a JSON list: the files of scheduler/ in which a function was called between the
submit's frame and the result's, in the order of the first call. Files of telemetry/, and calls from there, are left out
because they only observe. The second job is traced, so that one-time work is not in the list.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
import wave
from types import FrameType
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.clock import SystemClock
from voxpool.scheduler.protocol.codec import encode, to_client, to_node
from voxpool.scheduler.protocol.messages import Assign, Hello, JobResult, NodeResult, Register, Submit
from voxpool.scheduler.service.machine import Machine
from voxpool.scheduler.service.serve import serve
from voxpool.scheduler.telemetry.logs.log import open_log

PATIENCE_S = 60.0
PAIR = "zh:en"
OBSERVERS = "scheduler/telemetry/"
PACKAGE = f"{os.sep}scheduler{os.sep}"


class _Url:
    """A stream of log lines that waits for the URL of the scheduler."""

    def __init__(self) -> None:
        self.found: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def write(self, line: bytes) -> None:
        event = json.loads(line)
        if event["event"] == "scheduler_started":
            self.found.set_result(event["url"].replace("http", "ws", 1))


class _Files:
    """The files of scheduler/ in which functions are called, in the order of the first call."""

    def __init__(self) -> None:
        self.names: dict[str, None] = {}

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            name, caller = _name_of(frame), _name_of(frame.f_back)
            if name and not name.startswith(OBSERVERS) and not caller.startswith(OBSERVERS):
                self.names[name] = None


def _name_of(frame: FrameType | None) -> str:
    """Return the file of `frame` from scheduler/ on; "" when it is no file of ours."""
    _, found, name = ("", "", "") if frame is None else frame.f_code.co_filename.rpartition(PACKAGE)
    return f"scheduler/{name.replace(os.sep, '/')}" if found else ""


def _audio() -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as audio:
        audio.setnchannels(1)
        audio.setsampwidth(2)
        audio.setframerate(16_000)
        audio.writeframes(bytes(3200))
    return stream.getvalue()


async def _one_job(client: ClientConnection, node: ClientConnection, submit: bytes, files: _Files | None) -> None:
    """Process one job; only code between the frames of the peers is recorded, not the peers' own coding."""

    async def turn(sender: ClientConnection, frame: bytes, receiver: ClientConnection) -> bytes:
        sys.setprofile(files)
        await sender.send(frame)
        answer = await receiver.recv(decode=False)
        sys.setprofile(None)
        return answer

    assign = to_node.decode(await turn(client, submit, node), binary=True)
    assert isinstance(assign, Assign), assign
    await client.recv()  # accepted
    result = encode(NodeResult(assign.job_id, assign.attempt, output={"text": "ni hao"}), binary=True)
    ended = to_client.decode(await turn(node, result, client), binary=True)
    assert isinstance(ended, JobResult) and ended.state == "completed", ended


async def walk() -> list[str]:
    """Return the files that the second job passes."""
    url = _Url()
    service = asyncio.ensure_future(serve(Settings(store="memory", port=0), open_log(url, SystemClock()), Machine()))
    either: list[asyncio.Future[Any]] = [service, url.found]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    files = _Files()
    async with connect(await url.found + "/ws/node") as node, connect(await url.found + "/ws/session") as client:
        await node.send(encode(Register("n1", "p1", [PAIR], 1, []), binary=True))
        await node.recv()
        await client.send(encode(Hello(), binary=True))
        await client.recv()
        for number, recorder in enumerate((None, files)):
            await _one_job(client, node, encode(Submit(f"r{number}", PAIR, _audio()), binary=True), recorder)
    os.kill(os.getpid(), signal.SIGTERM)
    await service
    return list(files.names)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(asyncio.wait_for(walk(), PATIENCE_S))) + "\n")
