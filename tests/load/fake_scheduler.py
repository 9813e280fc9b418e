"""An HTTP server with the answers of another version, or of no scheduler."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from voxpool.scheduler import __version__

GOOD: dict[str, Any] = {
    "/healthz": {"status": "ok"},
    "/openapi.json": {"info": {"version": __version__}},
    "/v1/jobs": {"jobs": [], "total": 0, "next_cursor": None},
}
"""The answers of a scheduler that are checked before a load."""


@contextlib.contextmanager
def fake_scheduler(answers: Mapping[str, Any]) -> Iterator[str]:
    """Yield the URL of a server that answers GET with `answers` by path, others with 404; bytes are sent unchanged."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            answer = answers.get(path, {"detail": "nothing here"})
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(200 if path in answers else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
