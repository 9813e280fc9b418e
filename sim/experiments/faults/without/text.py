"""R20: an error text is cut at byte 500, inside a character of three bytes; decoding it raises, and the handler ends.

The clean-up after the handler's loop never runs: the node stays registered, with its jobs.
"""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from voxpool.scheduler.protocol.messages import NodeResult
from voxpool.scheduler.web.nodes import NodeConnection, NodeDoor

TEXT_BYTES_MAX = 500


class CutsBytes(NodeConnection):
    """Cuts the text by bytes, and decodes the rest as UTF-8."""

    def _checked(self, result: NodeResult) -> NodeResult:
        if result.error is not None:
            result.error.reason = result.error.reason.encode()[:TEXT_BYTES_MAX].decode()
        return super()._checked(result)


class CleansUpAtTheEnd(NodeDoor):
    """The clean-up is after the loop, not in a `finally`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        connection = CutsBytes(self, scope["state"]["socket"], scope)
        await connection.run()
        if connection.node is not None:
            self.desk.left(connection.node)
