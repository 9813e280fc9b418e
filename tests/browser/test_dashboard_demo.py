"""`make dashboard-demo`: the dashboard fills by itself, draws its picture, and no process stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from playwright.async_api import Page, expect

from tests.e2e.processes import EXAMPLES, descendants_of, runs, until

DEMO = EXAMPLES / "dashboard_demo.py"
ROOT = EXAMPLES.parent


@contextlib.asynccontextmanager
async def demo(*options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The demo as a process; it is killed if the test did not end it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(DEMO), *options, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def test_the_dashboard_fills_and_ctrl_c_ends_every_process(page: Page) -> None:
    async with demo("--mishap-s", "0.5") as process:
        assert process.stdout is not None
        message = (await process.stdout.readline()).decode()
        url = re.search(r"http://127\.0\.0\.1:\d+/", message)
        assert url is not None, message
        await page.goto(url[0])
        await expect(page.locator("#nodes-sub")).to_contain_text("nodes:")
        await expect(page.locator("#pools-sub")).to_have_text("11 language pairs")
        await until(lambda: process.returncode is not None or len(descendants_of(process.pid)) >= 1)
        others = descendants_of(process.pid)
        await expect(page.locator(".tile", has_text="Completed")).not_to_contain_text("–")
        await expect(page.get_by_role("table", name="Last ended jobs").get_by_role("row")).to_have_count(13)
        await page.goto("about:blank")
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
        await until(lambda: not [pid for pid in others if runs(pid)])


async def test_the_demo_draws_its_picture(tmp_path: Path) -> None:
    """Of the other page; the one before has seen the dashboard."""
    picture = tmp_path / "page.png"
    options = ("--seconds", "1", "--page", "try", "--size", "800x600")
    async with demo(*options, "--screenshot", str(picture)) as process:
        assert process.stdout is not None
        message = (await process.stdout.read()).decode()
        assert await process.wait() == 0, message
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 10_000
    assert "All of it has ended" in message and "errors" not in message
