"""The report of a load run in a browser: readable at any width, complete without a network, quotes are escaped."""

from __future__ import annotations

import msgspec
import pytest

from tests.browser.conftest import HOSTILE, PageMaker, violations
from tests.unit.load_reports import load_report
from voxpool.loadtest.report._page import html_page
from voxpool.loadtest.report._records import ErrorCount


@pytest.mark.parametrize(("width", "colours"), [(1280, "light"), (360, "dark")])
async def test_the_load_report_fits_and_needs_no_network(pages: PageMaker, width: int, colours: str) -> None:
    page, watched = await pages.new(viewport={"width": width, "height": 900}, color_scheme=colours, offline=True)
    await page.set_content(html_page(load_report(1, lasts_s=60, failing=0.05, bytes_a_job=200)))
    assert await page.evaluate("() => document.documentElement.scrollWidth") <= width
    drawn = await page.evaluate("() => [...document.images].map(image => image.complete && image.naturalWidth > 0)")
    assert drawn == [True] * 6
    assert await page.locator("svg").count() >= 3
    assert await violations(page) == []
    assert [url for url in watched.requests if not url.startswith("data:")] == []


async def test_the_load_report_escapes_quoted_texts(pages: PageMaker) -> None:
    page, _ = await pages.new()
    report = msgspec.structs.replace(
        load_report(1, lasts_s=60),
        host=HOSTILE,
        why=HOSTILE,
        notes=[HOSTILE],
        options={HOSTILE: HOSTILE},
        errors=[ErrorCount(HOSTILE, HOSTILE, HOSTILE, 1, 0, 1)],
    )
    await page.set_content(html_page(report))
    assert await page.title() != "owned"
    assert await page.locator("script").count() == 0
    assert HOSTILE in await page.locator("h1").inner_text()
