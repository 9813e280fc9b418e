"""Memory in Locust's web interface: the tab and the page of charts, live, below a base path, in light and dark."""

from __future__ import annotations

import asyncio
import re
import signal
from pathlib import Path

import httpx
from playwright.async_api import expect

from tests.browser.conftest import PageMaker, fits, violations
from tests.browser.test_load_page import answers
from tests.e2e.processes import Scheduler, until
from tests.load.locust_run import LocustRun, free_port

FLAGS = ("--autostart", "-u", "5", "-r", "50", "--nodes", "2", "--web-base-path", "/load", "--web-host", "127.0.0.1")


async def test_the_charts_are_drawn_again_as_the_run_goes_on(pages: PageMaker, tmp_path: Path) -> None:
    scheduler = Scheduler(tmp_path, "memory", "--cleanup-interval-s", "1", "--retention-s", "1")
    web = free_port()
    url = f"http://127.0.0.1:{web}/load"
    try:
        with LocustRun(tmp_path, *FLAGS, "--web-port", web, "--host", scheduler.url) as run:
            await until(lambda: answers(url + "/memory/content"))
            await look_at_the_page(pages, url)
            await look_at_the_tab(pages, url)
            page, watched = await pages.new()
            watched.tolerated.append("Failed to load resource")
            await page.goto(url + "/memory")
            run.signal(signal.SIGINT)
            await asyncio.to_thread(run.end)
            await expect(page.locator("#state")).to_have_text("Locust does not answer: this is what was known last.")
            await expect(page.locator("svg").first).to_be_visible()
    finally:
        scheduler.stop()


async def look_at_the_page(pages: PageMaker, url: str) -> None:
    page, watched = await pages.new(viewport={"width": 360, "height": 800})
    await page.goto(url + "/memory")
    await expect(page.get_by_role("img", name="Allocated bytes by jobs finished")).to_be_visible()
    first = await page.locator("#content").inner_html()
    await page.get_by_text("All figures").click()
    await page.wait_for_function("first => document.getElementById('content').innerHTML !== first", arg=first)
    await expect(page.get_by_role("row", name="allocated bytes").first).to_be_visible()  # stays expanded
    assert await fits(page)
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        assert await violations(page) == [], scheme
    assert all(request.startswith(url) for request in watched.requests)
    await page.close()
    async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
        answer = await http.get("/memory")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "<style" not in answer.text and " style=" not in answer.text
        assert (await http.get("/memory/nothing")).status_code == 404


async def look_at_the_tab(pages: PageMaker, url: str) -> None:
    page, _ = await pages.new(viewport={"width": 1280, "height": 900})
    await page.goto(url + "/?tab=memory")
    await expect(page.get_by_role("tab", name="Memory")).to_have_attribute("aria-selected", "true")
    for name in ("reason", "charts", "/load/memory", "allocated bytes", "RSS"):
        await expect(page.get_by_role("cell", name=name, exact=True)).to_be_visible()
    verdict = page.get_by_role("row").nth(1)
    await expect(verdict.get_by_role("cell").first).to_have_text("verdict")
    await expect(verdict.get_by_role("cell").nth(1)).to_have_text(re.compile("^(unclear|no leak|leak)$"))
    await page.close()
