"""A client and a node of voxpool without its SDK: raw messages on picows, or HTTP with `wait_s`."""

import asyncio
import json
import os
import sys
from pathlib import Path

import measure
import msgspec

PORT = int(os.environ["PORT"])
PAIR = "en:en"
NODES = int(os.environ["NODES"])
encode, decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode


async def connect(listener, path):
    from picows import ws_connect

    transport, _ = await ws_connect(listener, f"ws://127.0.0.1:{PORT}{path}", max_frame_size=2**26)
    return transport


async def work():
    from picows import WSListener, WSMsgType

    loop = asyncio.get_running_loop()

    class Node(WSListener):
        is_open = True

        def on_ws_frame(self, transport, frame):
            if frame.msg_type == WSMsgType.PING:
                transport.send_pong(frame.get_payload_as_bytes())
            elif frame.msg_type == WSMsgType.BINARY:
                self.on_message(transport, decode(frame.get_payload_as_bytes()))

        def on_message(self, transport, message):
            if message["type"] == "assign":
                result = {"type": "result", "job_id": message["job_id"], "attempt": message["attempt"]}
                transport.send(WSMsgType.BINARY, encode({**result, "output": measure.answer(message["audio"])}))
            elif message["type"] == "registered":
                self.beat(transport, message["heartbeat_ms"] / 1000)

        def beat(self, transport, every_s):
            if self.is_open:
                transport.send(WSMsgType.BINARY, encode({"type": "heartbeat", "running": []}))
                loop.call_later(every_s, self.beat, transport, every_s)

        def on_ws_disconnected(self, _transport):
            self.is_open = False

    for number in range(NODES):
        transport = await connect(Node, "/ws/node")
        register = {"type": "register", "node_id": f"n{number}", "process_id": f"p{os.getpid()}", "pairs": [PAIR]}
        slots = max(8, 1000 // NODES)
        transport.send(WSMsgType.BINARY, encode({**register, "slots": slots, "running": []}))
    await asyncio.Future()


async def client():
    from picows import WSListener, WSMsgType

    waiting, number, run = {}, 0, os.urandom(4).hex()
    loop = asyncio.get_running_loop()
    welcome = loop.create_future()

    class Client(WSListener):
        def on_ws_frame(self, transport, frame):
            if frame.msg_type == WSMsgType.PING:
                transport.send_pong(frame.get_payload_as_bytes())
            elif frame.msg_type == WSMsgType.BINARY:
                message = decode(frame.get_payload_as_bytes())
                if message["type"] == "result":
                    waiting.pop(message["request_id"]).set_result(message["output"])
                elif message["type"] == "welcome":
                    welcome.set_result(None)
                else:
                    assert message["type"] == "accepted", message

    transport = await connect(Client, "/ws/session")
    transport.send(WSMsgType.BINARY, encode({"type": "hello", "protocol": 1}))
    await welcome

    async def call():
        nonlocal number
        number += 1
        key = f"{run}-{number}"
        future = waiting[key] = loop.create_future()
        submit = {"type": "submit", "request_id": key, "pair": PAIR, "audio": measure.AUDIO}
        transport.send(WSMsgType.BINARY, encode(submit))
        return await future

    await measure.measure(call)


async def idle_sessions():
    """Open sessions that submit nothing, create the file READY, and stay."""
    from picows import WSListener, WSMsgType

    class Session(WSListener):
        def on_ws_frame(self, transport, frame):
            if frame.msg_type == WSMsgType.PING:
                transport.send_pong(frame.get_payload_as_bytes())

    transports = []
    for _ in range(int(os.environ["SESSIONS"])):
        transport = await connect(Session, "/ws/session")
        transport.send(WSMsgType.BINARY, encode({"type": "hello", "protocol": 1}))
        transports.append(transport)
    ready()
    await asyncio.Future()


def ready():
    Path(os.environ["READY"]).touch()


async def http_client():
    idle = []
    head = f"POST /v1/jobs?pair={PAIR}&wait_s=30 HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {measure.SIZE}\r\n\r\n"

    async def call():
        reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", PORT)
        writer.write(head.encode())
        writer.write(measure.AUDIO)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(answer.split(b"content-length:")[1].split(b"\r\n")[0])
        job = json.loads(await reader.readexactly(length))
        idle.append((reader, writer))
        return job["output"]

    await measure.measure(call)


if __name__ == "__main__":
    roles = {"worker": work, "sessions": idle_sessions, "client": http_client if measure.VARIANT == "http" else client}
    measure.run(roles[sys.argv[1]]())
