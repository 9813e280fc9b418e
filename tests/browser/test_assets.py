"""The files for a browser: the right types, headers that forbid foreign scripts, and no duplicates."""

from __future__ import annotations

import httpx
from playwright.async_api import Page

from tests.browser.conftest import Served
from voxpool.scheduler.web import assets


async def test_each_file_has_its_type_and_forbids_foreign_content(served: Served) -> None:
    async with httpx.AsyncClient(base_url=served.url, trust_env=False) as http:
        for path in [*assets.PAGES, *(f"/assets/{file}" for file in assets.FILES)]:
            answer = await http.get(path)
            assert answer.status_code == 200 and answer.content, path
            policy = answer.headers["content-security-policy"]
            assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy and "http" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            again = await http.get(path, headers={"if-none-match": answer.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")


def test_every_file_of_the_folder_is_served() -> None:
    there = {str(path.relative_to(assets.FOLDER)) for path in assets.FOLDER.rglob("*") if path.is_file()}
    assert there == {*assets.PAGES.values(), *assets.FILES}


async def test_no_page_loads_anything_inline(served: Served) -> None:
    async with httpx.AsyncClient(base_url=served.url, trust_env=False) as http:
        for path in assets.PAGES:
            text = (await http.get(path)).text
            assert "<style" not in text and " style=" not in text and " on" + "click" not in text
            assert text.count("<script") == text.count('<script type="module" src=')


async def test_the_first_page_opens(page: Page, served: Served) -> None:
    await page.goto(served.url)
    assert await page.title() == "voxpool"
