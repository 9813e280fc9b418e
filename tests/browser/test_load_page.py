"""Locust's own page for a load test: its form has our options, and it starts, shows and stops a run."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import httpx
from playwright.async_api import Page, expect

from tests.browser.conftest import PageMaker
from tests.e2e.processes import Scheduler, until
from tests.load.locust_run import LocustRun, free_port
from voxpool.loadtest.options._options import GROUPS

REPORT_S = 30.0


async def test_a_run_is_started_watched_and_stopped_on_the_page(pages: PageMaker, tmp_path: Path) -> None:
    """The form takes our options, in groups, and the classes of users; the tables fill, /memory has charts, and the
    stop writes a report.
    """
    scheduler = Scheduler(tmp_path, "memory", "--cleanup-interval-s", "1", "--retention-s", "1")
    try:
        place = ("--web-host", "127.0.0.1", "--web-port", free_port(), "--host", scheduler.url)
        with LocustRun(tmp_path, "--class-picker", *place) as run:
            await run_on_the_page(pages, run)
    finally:
        scheduler.stop()


async def run_on_the_page(pages: PageMaker, run: LocustRun) -> None:
    run.waits_for("Starting web interface at")
    url = run.text.partition("Starting web interface at ")[2].partition(",")[0]
    page, watched = await pages.new(viewport={"width": 1280, "height": 1400})
    await until(lambda: answers(url))
    await page.goto(url)
    await fill(page, "Number of users", "5")
    await fill(page, "Ramp up", "50")
    await page.get_by_role("button", name="Custom parameters").click()
    await fill(page, "Rate Per User", "4")
    await fill(page, "Nodes", "3")
    labels = await page.get_by_text(re.compile(rf"\(({'|'.join(GROUPS)}): ")).all_inner_texts()
    groups = [re.search(r"\((\w+): ", label)[1] for label in labels]  # type: ignore[index]
    order: list[str] = list(GROUPS)
    assert groups == sorted(groups, key=order.index) and {"work", "shape", "memory"} < set(groups)
    await page.get_by_role("row", name="HttpClientUser").get_by_role("checkbox").uncheck()
    assert await page.get_by_label(re.compile("Token|Serve Flags|Out ")).count() == 0, "for the command line alone"
    await page.get_by_role("button", name="Start").click()
    await expect(page.get_by_role("cell", name="utterance")).to_be_visible()
    await expect(page.get_by_text("RUNNING")).to_be_visible()
    assert await page.get_by_role("cell", name="HTTP", exact=True).count() == 0, "HttpClientUser was not picked"

    charts, _ = await pages.new(viewport={"width": 1280, "height": 900})
    await charts.goto(url + "/memory")
    await expect(charts.locator("svg path, svg polyline").first).to_be_visible()

    await page.get_by_role("button", name="Stop").click()
    await until(lambda: (run.folder / "report.json").exists() and "Report: " in run.text, REPORT_S)
    report = run.report()
    assert (report.verdict, report.exit_code) == ("holds", 0), run.text
    assert report.options["rate_per_user"] == 4 and report.options["nodes"] == 3 and report.options["num_users"] == 5
    assert report.jobs is not None and report.jobs.completed > 0
    assert report.ended_by == "the page"
    assert [text for text in watched.requests if not text.startswith(url)] == []
    await page.close()
    await charts.close()
    run.signal(signal.SIGINT)
    assert run.end() == 0, run.text


def answers(url: str) -> bool:
    """True when a page is served there."""
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False


async def fill(page: Page, label: str, value: str) -> None:
    """Fill the field whose label starts with `label`."""
    await page.get_by_label(re.compile(f"^{label} ?[(\u2009]|^{label}")).first.fill(value)
