"""The report of a simulation in a browser: readable at any width, in light and dark, usable by keyboard."""

import io
from statistics import median

import pytest
from PIL import Image

from tests.browser.conftest import PageMaker, fits, violations
from voxpool.sim.report.page import html_page
from voxpool.sim.report.pictures import Curve, curves
from voxpool.sim.report.report import Line, Report, Table

PICTURE = curves("jobs", "Jobs", "hours", "jobs", [Curve("with", [0, 9], [0, 9], "with")], "Jobs over time.")
HASH = "trace hash " + "ff3d2c02f4ba7fea" * 4


@pytest.mark.parametrize(("width", "colours"), [(1440, "light"), (360, "dark")])
async def test_the_report_fits_in_both_colours_and_its_tables_are_reached_by_keyboard(
    pages: PageMaker, width: int, colours: str
) -> None:
    line = Line("M1", "jobs left after the last sweep", "jobs", without=480, with_=0, limit="== 0", shows="== 480")
    beside = Table("Beside each other", ["a load", *map(str, range(12))], [["of 80 %", *["1,234 ms"] * 12]])
    report = Report(
        "leak", "Do they pile up?", 7, {"of_a_long_name" * 3: 1}, [line], {"with": {}}, tables=[beside], notes=[HASH]
    )
    page, _ = await pages.new(viewport={"width": width, "height": 900}, color_scheme=colours, offline=True)
    await page.set_content(html_page(report, [PICTURE]))
    assert await fits(page)
    assert await violations(page) == []
    red = await page.evaluate("() => Number(getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0])")
    assert (red < 60) == (colours == "dark")
    picture = Image.open(io.BytesIO(await page.locator(".picture").screenshot())).convert("L")
    darkest, *_, lightest = sorted(picture.tobytes())
    assert darkest < 60 and lightest > 180, "its lines and letters stand out"
    assert (median(picture.tobytes()) < 60) == (colours == "dark"), "it has the colours of the page"
    for name in ("Jobs", "Beside each other", "Figures"):
        await page.keyboard.press("Tab")
        assert await page.evaluate("() => document.activeElement.getAttribute('aria-label')") == name
