"""The server end of a page's session, played by the test: it sends what no real scheduler would send on request."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from playwright.async_api import Page, WebSocketRoute

Message = dict[str, Any]
Answer = Message | str | int
"""A message, a text that is no message, or the code of a close."""
WELCOME: Message = {"type": "welcome", "session_id": "s", "limits": {}, "protocol": 1}


class FakeSession:
    """Answers each message of the page with what `answer(connection, message)` returns; connections count from 1.

    The messages of the page are in `received`.
    """

    def __init__(self, answer: Callable[[int, Message], list[Answer]]) -> None:
        self.received: list[Message] = []
        self.connections = 0
        self._answer = answer

    async def serve(self, page: Page) -> None:
        """Take the place of the scheduler's endpoint."""
        await page.route_web_socket("**/ws/session", self._connected)

    def _connected(self, socket: WebSocketRoute) -> None:
        self.connections += 1
        connection = self.connections

        async def take(data: str | bytes) -> None:
            message = json.loads(data)
            self.received.append(message)
            for answer in self._answer(connection, message):
                if isinstance(answer, int):
                    await socket.close(code=answer)
                else:
                    socket.send(answer if isinstance(answer, str) else json.dumps(answer))

        socket.on_message(take)
