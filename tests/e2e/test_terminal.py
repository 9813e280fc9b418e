"""Foreign text never controls a terminal: C0, DEL, C1 and bidirectional controls are shown escaped."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from tests.e2e.command_line import WITHIN_S, clean_environment, stranger, voxpool_here
from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, until
from voxpool.scheduler.sdk import Work, Worker
from voxpool.scheduler.sdk.http import HttpClient

EVIL = "\x1b[2J\x1b]0;owned\x07\x7f\x9b31m\u202egnp.exe\u2066\u200f\x00"
"""Text that clears the screen, sets the title, deletes, colours (C1), and reverses the direction."""


def acting(text: str) -> list[str]:
    """Return the control characters in `text`; line breaks and tabs are the command's own."""
    return [sign for sign in text if unicodedata.category(sign) in ("Cc", "Cf") and sign not in "\n\t"]


def test_the_check_itself() -> None:
    assert len(acting(EVIL)) == 9 and acting("a\tb\n– ×") == []


async def test_outputs_and_errors_of_workers(scheduler: Scheduler, pair: str, folder: Path) -> None:
    """As lines and as JSON, which still contains the original text; in jobs, submit, why and cancel."""

    def work(work: Work) -> dict[str, str]:
        if work.audio != TONE:
            raise ValueError(EVIL)
        return {"text": EVIL}

    worker = Worker(scheduler.url, node_id=f"node-{pair[:-3]}", pairs=[pair], work=work)
    async with running(worker):
        await until(lambda: worker.node_id in scheduler.node_ids())
        at = ("--url", scheduler.url)
        with HttpClient(scheduler.url) as client:
            good = await asyncio.to_thread(client.submit, TONE, pair, wait_s=10, why=True)
            bad = await asyncio.to_thread(client.submit, TONE + b"\0\0", pair, wait_s=10, why=True)
        assert (good.state, bad.state) == ("completed", "failed")
        shown = [
            voxpool_here("jobs", good.job_id, bad.job_id, *at),
            voxpool_here("jobs", "--limit", "1000", *at),
            voxpool_here("why", bad.job_id, *at),
            voxpool_here("cancel", good.job_id, *at),
        ]
        as_json = voxpool_here("jobs", good.job_id, bad.job_id, "--json", *at)
    for done in (*shown, as_json):
        assert done.returncode == 0 and done.stdout and acting(done.stdout + done.stderr) == [], done
    assert "owned" in shown[0].stdout
    assert json.loads(as_json.stdout.splitlines()[0])["output"]["text"] == EVIL


@pytest.mark.parametrize("status", [b"422 Unprocessable Entity", b"401 Unauthorized"])
def test_errors_of_a_server(status: bytes) -> None:
    """It may be any server, and a problem may contain a name from any source."""
    body = json.dumps(
        {"type": "t", "title": "t", "status": 422, "detail": EVIL, "reason": "r"} | {"retryable": False}
    ).encode()
    answer = b"HTTP/1.1 %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (status, len(body), body)
    with stranger(answer) as port:
        done = voxpool_here("nodes", "--url", f"http://127.0.0.1:{port}")
    assert done.returncode and "owned" in done.stderr and acting(done.stderr) == []


def test_names_in_arguments_files_and_reports(folder: Path) -> None:
    """The simulator and leakgate print texts of files, which may be foreign."""
    kept = folder / "kept"
    kept.mkdir()
    scenario = {"name": "s", "duration_s": 1, "nodes": [], "expect": {"jobs.completed": ">= 5"}}
    (kept / "case.json").write_text(json.dumps({"scenario": scenario, "seed": 1}))
    (kept / "found.json").write_text(json.dumps({"signs": [EVIL]}))
    watched = folder / "watched.csv"
    watched.write_text(f"t_s,allocated_bytes\n0,1\n1,{EVIL[1:]}\n")
    toml = folder / "evil.toml"
    toml.write_text('name = "a"\nduration_s = 1\n"\\u001b[2J\\u009b1m" = 5\n')
    for command in (
        ("-m", "voxpool.sim", "replay", str(kept)),
        ("-m", "voxpool.sim", "run", str(toml)),
        ("-m", "voxpool.sim", "run", "no\x1b[2Jsuch\x9b"),
        ("-m", "voxpool.scheduler", "submit", "--pair", "a:b", "no\x1b[2Jfile\u202e"),
        ("-m", "voxpool.leakgate", "judge", str(watched)),
    ):
        done = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, env=clean_environment(), timeout=WITHIN_S
        )
        message = done.stdout + done.stderr
        assert done.returncode and message and "Traceback" not in message, (command, message)
        assert acting(message) == [], (command, message)
