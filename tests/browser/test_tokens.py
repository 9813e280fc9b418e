"""Pages of a scheduler with tokens: each asks for the one that it needs, and keeps it in its tab only."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from scheduler.sdk import Worker
from scheduler.security.caller import Role
from scheduler.security.tokens import append_token, new_token
from tests.browser.conftest import PageMaker
from tests.browser.test_dashboard import row
from tests.browser.test_try import answers
from tests.live.processes import Scheduler, until

REFUSED = ["401 (Unauthorized)", "403 (Forbidden)"]
WANTED = "This scheduler wants a token"


class Guarded(NamedTuple):
    """A scheduler with tokens, the secret of each role, and the file of its tokens."""

    scheduler: Scheduler
    secrets: dict[Role, str]
    file: Path


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    """A scheduler that knows one token of each role, and a node that showed its own."""
    folder = tmp_path_factory.mktemp("guarded")
    file = folder / "tokens.toml"
    secrets: dict[Role, str] = {}
    for role in Role:
        secrets[role], caller = new_token(f"a-{role}", role)
        append_token(file, caller)
    scheduler = Scheduler(folder, "memory", "--token-file", str(file))
    worker = Worker(
        scheduler.url,
        node_id="ann",
        pairs=["zh:en"],
        slots=1,
        work=lambda work: {"text": "heard"},
        token=secrets[Role.NODE],
    )
    running = asyncio.create_task(worker.run())
    yield Guarded(scheduler, secrets, file)
    worker.stop()
    await running
    assert await asyncio.to_thread(scheduler.stop) == 0


async def kept(page: Page) -> tuple[bool, str]:
    """Whether the tab keeps a token, and all that outlives it or is seen elsewhere."""
    is_kept = await page.evaluate("() => JSON.stringify(sessionStorage).includes('vxp_')")
    return is_kept, await page.evaluate("() => JSON.stringify(localStorage) + document.cookie + location.href")


async def enter(page: Page, secret: str) -> None:
    """Type a token where it is asked for."""
    await page.get_by_role("dialog", name=WANTED).get_by_label("Token of").fill(secret)
    await page.keyboard.press("Enter")


async def test_try_asks_for_the_token_of_a_client(pages: PageMaker, guarded: Guarded) -> None:
    page, watched = await pages.new()
    watched.tolerated += REFUSED
    await page.goto(f"{guarded.scheduler.url}/try")
    question = page.get_by_role("dialog", name=WANTED)
    await expect(question).to_contain_text("voxpool token NAME --role client makes one.")
    await expect(page.locator(".state")).to_contain_text("Token needed")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Enter a token").click()
    for secret, says in (("vxp_nobody", "does not count"), (guarded.secrets[Role.NODE], "has another role")):
        await enter(page, secret)
        await expect(question).to_contain_text(says)
    await enter(page, guarded.secrets[Role.CLIENT])
    await expect(question).to_be_hidden()
    await expect(page.locator(".state")).to_contain_text("Connected")
    await page.get_by_role("button", name="Take a test tone").click()
    await page.get_by_role("textbox", name="Language pair").fill("zh:en")  # a client does not see what is offered
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


async def test_try_offers_an_admin_what_there_is(pages: PageMaker, guarded: Guarded) -> None:
    page, watched = await pages.new()
    watched.tolerated += REFUSED
    await page.goto(f"{guarded.scheduler.url}/try")
    await enter(page, guarded.secrets[Role.ADMIN])
    await expect(page.get_by_role("combobox", name="Language pair")).to_have_value("zh:en")


async def test_the_dashboard_is_for_admins_and_so_is_its_drain_button(pages: PageMaker, guarded: Guarded) -> None:
    page, watched = await pages.new()
    watched.tolerated += REFUSED
    await page.goto(guarded.scheduler.url)
    question = page.get_by_role("dialog", name=WANTED)
    await expect(question).to_contain_text("voxpool token NAME --role admin makes one.")
    for role in (Role.CLIENT, Role.NODE, Role.METRICS):
        await enter(page, guarded.secrets[role])
        await expect(question).to_contain_text("this needs one of an admin")
    await page.keyboard.press("Escape")
    await expect(page.get_by_text("The dashboard is for admins")).to_be_visible()
    await expect(page.get_by_role("button", name="Drain")).to_have_count(0)
    assert "ann" not in await page.locator("main").inner_text()
    await page.get_by_role("button", name="Enter a token").click()
    await enter(page, guarded.secrets[Role.ADMIN])
    await expect(page.locator(".state")).to_contain_text("Live")
    await page.get_by_role("button", name="Drain ann").click()
    await page.get_by_role("dialog").get_by_role("button", name="Drain").click()
    await expect(row(page, "Nodes", "ann")).to_contain_text("draining")
    await page.get_by_role("button", name="Resume ann").click()
    await page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    await expect(row(page, "Nodes", "ann")).to_contain_text("ready")


async def test_a_token_that_is_taken_back_ends_both_pages(pages: PageMaker, guarded: Guarded) -> None:
    dashboard, watched = await pages.new()
    watched.tolerated += REFUSED
    attempt, watched = await pages.new()
    watched.tolerated += REFUSED
    with contextlib.ExitStack() as stack:
        before = guarded.file.read_bytes()
        stack.callback(guarded.scheduler.signal, signal.SIGHUP)
        stack.callback(guarded.file.write_bytes, before)
        secrets = {}
        for role in (Role.ADMIN, Role.CLIENT):
            secrets[role], caller = new_token(f"for-now-{role}", role)
            append_token(guarded.file, caller)
        reloads = len(guarded.scheduler.events("tokens_loaded"))
        guarded.scheduler.signal(signal.SIGHUP)
        await until(lambda: len(guarded.scheduler.events("tokens_loaded")) > reloads)
        for page, role, path in ((dashboard, Role.ADMIN, "/"), (attempt, Role.CLIENT, "/try")):
            await page.goto(guarded.scheduler.url + path)
            await enter(page, secrets[role])
            await expect(page.locator("[data-stream=live]")).to_have_count(1)
    for page in (dashboard, attempt):
        await expect(page.get_by_role("dialog", name=WANTED)).to_contain_text("does not count here, or not any more")
