"""The report of a simulation in a browser: readable at any width, also by keys."""

import pytest

from tests.browser.conftest import PageMaker, violations
from voxpool.sim.report.page import html_page
from voxpool.sim.report.report import Line, Report, Table


@pytest.mark.parametrize("width", [1280, 360])
async def test_it_fits_and_its_tables_are_reached_by_keys(pages: PageMaker, width: int) -> None:
    line = Line("M1", "jobs left after the last sweep", "jobs", without=480, with_=0, limit="== 0", shows="== 480")
    beside = Table("Beside each other", ["a load", *map(str, range(12))], [["of 80 %", *["1,234 ms"] * 12]])
    report = Report("leak", "Do they pile up?", 7, {}, [line], {"without": {}, "with": {}}, tables=[beside])
    page, _ = await pages.new(viewport={"width": width, "height": 900}, offline=True)
    await page.set_content(html_page(report, []))
    assert await page.evaluate("() => document.documentElement.scrollWidth") <= width
    assert await violations(page) == []
    for name in ("Beside each other", "Figures"):
        await page.keyboard.press("Tab")
        assert await page.evaluate("() => document.activeElement.getAttribute('aria-label')") == name
