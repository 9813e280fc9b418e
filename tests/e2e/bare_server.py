"""The lower bound of the cost of a connection: production's HTTP server without a scheduler. It only sends a welcome.

`python -m tests.e2e.bare_server serve …` prints one line like the ready line of a scheduler.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import msgspec
import uvicorn

from voxpool.leakgate.inside.allocators import AllocatedBytes
from voxpool.scheduler.protocol.codec import encode
from voxpool.scheduler.protocol.messages import Welcome


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer the first message of a WebSocket; over HTTP report the memory as GET /v1/debug/memory does."""
    if scope["type"] == "http":
        now = AllocatedBytes(collect=True).read()
        report = {"memory": {"allocated_bytes": now.allocated, "rss_bytes": now.rss}}
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": msgspec.json.encode(report)})
        return
    await receive()
    await send({"type": "websocket.accept"})
    await receive()
    await send({"type": "websocket.send", "bytes": encode(Welcome("bare", {}), binary=True)})
    while (await receive())["type"] == "websocket.receive":
        pass


class _Server(uvicorn.Server):
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        sys.stdout.write(json.dumps({"event": "scheduler_started", "url": f"http://127.0.0.1:{port}"}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    config = uvicorn.Config(
        app,
        port=0,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_ping_interval=15.0,
        lifespan="off",
        log_level="error",
        timeout_graceful_shutdown=1,
    )
    asyncio.run(_Server(config).serve())
