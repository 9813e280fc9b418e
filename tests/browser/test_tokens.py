"""Pages of a scheduler with tokens: each asks for the token that it needs and keeps it in its tab only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.conftest import PageMaker
from tests.browser.test_dashboard import row
from tests.browser.test_try import answers
from tests.e2e.secured import WRONG, Keys, Secured
from voxpool.scheduler.sdk import Worker

REFUSED = ["401 (Unauthorized)", "403 (Forbidden)"]
WANTED = "This scheduler wants a token"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Secured]:
    """A scheduler with tokens, and a node that authenticated with its own."""
    folder = tmp_path_factory.mktemp("guarded")
    scheduler = Secured(folder, Keys(folder))
    secret = scheduler.keys.secrets["gpu"]
    worker = Worker(scheduler.url, node_id="gpu", pairs=["zh:en"], slots=1, work=lambda work: "heard", token=secret)
    running = asyncio.create_task(worker.run())
    yield scheduler
    worker.stop()
    await running
    assert await asyncio.to_thread(scheduler.stop) == 0


async def kept(page: Page) -> tuple[bool, str]:
    """Return whether the tab keeps a token, and everything that outlives the tab or is visible elsewhere."""
    is_kept = await page.evaluate("() => JSON.stringify(sessionStorage).includes('vxp_')")
    return is_kept, await page.evaluate("() => JSON.stringify(localStorage) + document.cookie + location.href")


async def enter(page: Page, secret: str) -> None:
    """Enter a token in the page's form."""
    await page.get_by_role("dialog", name=WANTED).get_by_label("Token of").fill(secret)
    await page.keyboard.press("Enter")


async def test_try_asks_for_the_token_of_a_client(pages: PageMaker, guarded: Secured) -> None:
    page, watched = await pages.new()
    watched.tolerated += REFUSED
    await page.goto(f"{guarded.url}/try")
    question = page.get_by_role("dialog", name=WANTED)
    await expect(question).to_contain_text("voxpool token NAME --role client makes one.")
    await expect(page.locator(".state")).to_contain_text("Token needed")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Enter a token").click()
    for secret, says in ((WRONG, "does not count"), (guarded.keys.secrets["gpu"], "has another role")):
        await enter(page, secret)
        await expect(question).to_contain_text(says)
    await enter(page, guarded.keys.secrets["ann"])
    await expect(question).to_be_hidden()
    await expect(page.locator(".state")).to_contain_text("Connected")
    await page.get_by_role("button", name="Take a test tone").click()
    await page.get_by_role("textbox", name="Language pair").fill(
        "zh:en"
    )  # a client does not see which pairs are served
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(answers(page).first.locator("blockquote")).to_have_text("heard")
    is_kept, elsewhere = await kept(page)
    assert is_kept and "vxp_" not in elsewhere
    assert not any("vxp_" in url for url in watched.requests)
    await page.reload()
    await expect(page.locator(".state")).to_contain_text("Connected")
    await page.get_by_role("button", name="Forget token").click()
    await expect(question).to_be_visible()
    assert await kept(page) == (False, elsewhere)


async def test_try_lists_the_served_pairs_for_an_admin(pages: PageMaker, guarded: Secured) -> None:
    page, watched = await pages.new()
    watched.tolerated += REFUSED
    await page.goto(f"{guarded.url}/try")
    await enter(page, guarded.keys.secrets["root"])
    await expect(page.get_by_role("combobox", name="Language pair")).to_have_value("zh:en")


async def test_the_dashboard_is_for_admins_and_so_is_its_drain_button(pages: PageMaker, guarded: Secured) -> None:
    page, watched = await pages.new()
    watched.tolerated += REFUSED
    await page.goto(guarded.url)
    question = page.get_by_role("dialog", name=WANTED)
    await expect(question).to_contain_text("voxpool token NAME --role admin makes one.")
    for name in ("ann", "gpu", "prometheus"):
        await enter(page, guarded.keys.secrets[name])
        await expect(question).to_contain_text("this needs one of an admin")
    await page.keyboard.press("Escape")
    await expect(page.get_by_text("The dashboard is for admins")).to_be_visible()
    await expect(page.get_by_role("button", name="Drain")).to_have_count(0)
    await expect(page.get_by_role("heading", name="Nodes")).to_be_hidden()
    await page.get_by_role("button", name="Enter a token").click()
    await enter(page, guarded.keys.secrets["root"])
    await expect(page.locator(".state")).to_contain_text("Live")
    await page.get_by_role("button", name="Drain gpu").click()
    await page.get_by_role("dialog").get_by_role("button", name="Drain").click()
    await expect(row(page, "Nodes", "gpu")).to_contain_text("draining")
    await page.get_by_role("button", name="Resume gpu").click()
    await page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    await expect(row(page, "Nodes", "gpu")).to_contain_text("ready")


async def test_a_revoked_token_ends_both_pages(pages: PageMaker, guarded: Secured) -> None:
    dashboard, watched = await pages.new()
    watched.tolerated += REFUSED
    attempt, watched = await pages.new()
    watched.tolerated += REFUSED
    keys = guarded.keys
    for page, name, path in ((dashboard, "boss", "/"), (attempt, "bob", "/try")):
        await page.goto(guarded.url + path)
        await enter(page, keys.secrets[name])
        await expect(page.locator("[data-stream=live]")).to_have_count(1)
    keys.write(caller for name, caller in keys.callers.items() if name not in ("boss", "bob"))
    await asyncio.to_thread(guarded.hang_up)
    for page in (dashboard, attempt):
        await expect(page.get_by_role("dialog", name=WANTED)).to_contain_text("does not count here, or not any more")
