"""Text from a server never controls the terminal of a load run."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.command_line import stranger
from tests.e2e.test_terminal import EVIL, acting
from tests.load.locust_run import LocustRun


def test_the_answers_of_a_server_are_shown_and_have_no_effect(tmp_path: Path) -> None:
    problem = {"type": "t", "title": "t", "status": 422, "detail": EVIL, "reason": "r", "retryable": False}
    body = json.dumps(problem).encode()
    answer = b"HTTP/1.1 422 Unprocessable\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (len(body), body)
    with stranger(answer) as port:
        load = ("--headless", "-u", "1", "-t", "5s", "--host", f"http://127.0.0.1:{port}")
        with LocustRun(tmp_path, *load) as run:
            assert run.end() == 3, run.text
            assert "owned" in run.text and acting(run.text) == []
