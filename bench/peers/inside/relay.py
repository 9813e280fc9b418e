"""A bare relay between client and worker, with picows or websockets: no scheduler can be faster on these sockets.

Its worker process runs both, relay and worker, as processes of their own. It reads nothing and stores nothing.
"""

import asyncio
import json
import os
import struct
import subprocess
import sys

import measure

PORT = int(os.environ["PORT"])
ADDRESS = f"ws://127.0.0.1:{PORT}"
HEAD = 4


def reply(frame):
    output = measure.answer(frame[HEAD:])
    return frame[:HEAD] + json.dumps(output).encode()


class Waiting:
    """The calls of a client that have no answer yet."""

    def __init__(self):
        self.futures, self.number = {}, 0

    def new(self):
        self.number += 1
        key = struct.pack("!I", self.number)
        future = self.futures[key] = asyncio.get_running_loop().create_future()
        return key, future

    def answered(self, frame):
        self.futures.pop(frame[:HEAD]).set_result(json.loads(frame[HEAD:]))


async def websockets_relay():
    from websockets.asyncio.server import serve

    ends, both = {}, asyncio.Event()

    async def pass_on(end):
        name = end.request.path.strip("/")
        ends[name] = end
        if len(ends) == 2:
            both.set()
        await both.wait()
        other = ends["worker" if name == "client" else "client"]
        async for frame in end:
            await other.send(frame)

    async with serve(pass_on, "127.0.0.1", PORT, compression=None, max_size=None):
        await asyncio.Future()


async def websockets_worker():
    from websockets.asyncio.client import connect

    async with connect(ADDRESS + "/worker", compression=None, max_size=None) as socket:
        async for frame in socket:
            await socket.send(reply(frame))


async def websockets_client():
    from websockets.asyncio.client import connect

    waiting = Waiting()
    async with connect(ADDRESS + "/client", compression=None, max_size=None) as socket:

        async def read():
            async for frame in socket:
                waiting.answered(frame)

        reader = asyncio.create_task(read())

        async def call():
            key, future = waiting.new()
            await socket.send(key + measure.AUDIO)
            return await future

        await measure.measure(call)
        reader.cancel()


async def picows_relay():
    from picows import WSListener, WSMsgType, ws_create_server

    ends, early = {}, []

    class End(WSListener):
        def __init__(self, name):
            self.name, self.other = name, "worker" if name == "client" else "client"

        def on_ws_connected(self, transport):
            ends[self.name] = transport
            while early:
                transport.send(WSMsgType.BINARY, early.pop(0))

        def on_ws_frame(self, _transport, frame):
            if frame.msg_type == WSMsgType.BINARY:
                data = frame.get_payload_as_bytes()
                if self.other in ends:
                    ends[self.other].send(WSMsgType.BINARY, data)
                else:
                    early.append(data)

    server = await ws_create_server(lambda request: End(request.path.decode().strip("/")), "127.0.0.1", PORT)
    await server.serve_forever()


async def picows_worker():
    from picows import WSListener, WSMsgType, ws_connect

    class Worker(WSListener):
        def on_ws_frame(self, transport, frame):
            if frame.msg_type == WSMsgType.BINARY:
                transport.send(WSMsgType.BINARY, reply(frame.get_payload_as_bytes()))

    transport, _ = await ws_connect(Worker, ADDRESS + "/worker", max_frame_size=2**26)
    await transport.wait_disconnected()


async def picows_client():
    from picows import WSListener, WSMsgType, ws_connect

    waiting = Waiting()

    class Client(WSListener):
        def on_ws_frame(self, _transport, frame):
            waiting.answered(frame.get_payload_as_bytes())

    transport, _ = await ws_connect(Client, ADDRESS + "/client", max_frame_size=2**26)

    async def call():
        key, future = waiting.new()
        transport.send(WSMsgType.BINARY, key + measure.AUDIO)
        return await future

    await measure.measure(call)


async def connected(role):
    """Run a role as soon as the relay listens."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", PORT)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return await globals()[f"{measure.VARIANT}_{role}"]()


if __name__ == "__main__":
    role = sys.argv[1]
    if role == "worker":
        subprocess.Popen([sys.executable, __file__, "relay"])
    measure.run(globals()[f"{measure.VARIANT}_relay"]() if role == "relay" else connected(role))
