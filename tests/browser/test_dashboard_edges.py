"""Edge cases of the dashboard: hostile text, a scheduler that stops, many nodes, tokens, no mouse."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.conftest import GONE, HOSTILE, PageMaker, Served, violations
from tests.browser.fake_stream import FakeStream
from tests.browser.test_dashboard import opened, row, submit
from tests.e2e.processes import Scheduler
from tests.unit.rig import Rig
from voxpool.scheduler.config import FAIR, Settings
from voxpool.scheduler.core.jobs.job import Share
from voxpool.scheduler.telemetry.dashboard.fleet import NodeRow, PairList, PoolRow
from voxpool.scheduler.telemetry.dashboard.snapshot import EndedJob

LIVE = "[data-stream=live]"


async def test_text_from_outside_stays_text(page: Page, served: Served) -> None:
    """Hostile text where the interface accepts it: the output of a node, and the id in the address."""
    served.output = {"text": HOSTILE, HOSTILE: [HOSTILE]}
    job = await submit(served, wait_s=5)
    await page.goto(f"{served.url}/#job={job['job_id']}")
    await expect(page.get_by_role("region", name="Result")).to_contain_text("<img src=x onerror")
    assert await page.locator("img, main script, dialog script").count() == 0
    assert await page.title() == "voxpool"


async def test_hostile_text_in_every_field_stays_text(pages: PageMaker, served: Served) -> None:
    """The page must not rely on the checks of the interface."""
    page, watched = await pages.new()
    watched.tolerated += ["404 (Not Found)", "422 (Unprocessable"]
    fake = await FakeStream.of(Rig())
    fleet = fake.now.fleet
    fleet.nodes = [NodeRow(HOSTILE, HOSTILE, 1, 2, 5, 3, 0)]
    fleet.pair_lists = [PairList((HOSTILE,), 1)]
    fleet.pools = [PoolRow(HOSTILE, 1, 0, 2, 1, 0, 1, 7)]
    fleet.nodes_total = fleet.pools_total = 1
    fleet.states = {HOSTILE: 1}
    fake.now.stopping = True
    fake.now.store_up, fake.now.store_error, fake.now.version = False, HOSTILE, HOSTILE
    fake.now.ended = [EndedJob(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, 2, 1, 1, 1)]
    await fake.serve(page)
    await page.goto(served.url)
    await expect(page.get_by_role("button", name=f"Drain {HOSTILE}")).to_be_visible()
    await expect(page.get_by_text("The store does not answer")).to_contain_text(HOSTILE)
    await expect(page.get_by_text("This scheduler is stopping")).to_be_visible()
    await page.get_by_role("button", name=f"Drain {HOSTILE}").click()
    await expect(page.get_by_role("dialog")).to_contain_text(f"Drain {HOSTILE}?")
    await page.get_by_role("dialog").get_by_role("button", name="Drain").click()
    await expect(page.get_by_role("alert")).to_contain_text("That did not work")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name=HOSTILE, exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("Not Found")
    assert await page.locator("img, main script, dialog script").count() == 0
    assert await page.title() == "voxpool"


async def test_the_policy_blocks_an_inserted_script(pages: PageMaker, served: Served) -> None:
    """The planted bug inserts text as HTML; the content security policy must stop it."""
    page, watched = await pages.new()
    watched.tolerated += ["Content Security Policy", "404 (Not Found)"]
    await opened(page, served)
    await page.evaluate("(html) => { document.querySelector('main').innerHTML = html }", HOSTILE)
    await page.evaluate(
        "() => { const one = document.createElement('script'); one.textContent = 'document.title = 1'; "
        "document.body.append(one) }"
    )
    await expect(page.locator("main img")).to_have_count(1)
    assert await page.title() == "voxpool"
    assert any("Content Security Policy" in text for text in watched.complaints)


async def test_a_lost_connection_is_shown_and_restored(pages: PageMaker, tmp_path: Path) -> None:
    page, watched = await pages.new()
    watched.tolerated += GONE
    scheduler = Scheduler(tmp_path, "memory", name="first")
    await page.goto(scheduler.url)
    await expect(page.get_by_role("heading", name="This scheduler is up")).to_be_visible()
    await expect(page.locator("#nodes code")).to_contain_text(f"voxpool node --url ws://127.0.0.1:{scheduler.port}")
    assert await asyncio.to_thread(scheduler.stop) == 0
    await expect(page.get_by_text("No connection: the scheduler does not answer")).to_be_visible()
    await expect(page.locator(".state")).to_contain_text("Reconnecting")
    again = await asyncio.to_thread(lambda: Scheduler(tmp_path, "memory", port=scheduler.port, name="second"))
    await expect(page.locator(LIVE)).to_have_count(1)
    await expect(page.locator(".state")).to_contain_text("Live")
    await expect(page.get_by_text("No connection")).to_have_count(0)
    await page.goto("about:blank")
    assert await asyncio.to_thread(again.stop) == 0


async def test_large_tables_are_paged_and_searched(pages: PageMaker, served: Served) -> None:
    rig = Rig()
    for i in range(1000):
        pairs = [f"s{(i + j) % 400:03}:en" for j in range(3)]
        await rig.node(f"gpu-{i:04}", pairs=pairs, slots=2, process_id=f"p{i}")
    for i in range(50):
        await rig.submit(f"s{i:03}:en")
    page, _ = await pages.new(viewport={"width": 1280, "height": 900})
    await (await FakeStream.of(rig)).serve(page, snapshots=20)
    await page.goto(served.url)
    await expect(page.locator("#nodes-sub")).to_have_text("1,000 nodes: 1,000 ready")
    await expect(page.locator("#pools-sub")).to_have_text("400 language pairs")
    assert await page.locator("tbody tr").count() < 60
    await expect(page.get_by_text("1–20 of 1,000")).to_be_visible()
    await page.get_by_role("button", name="Next page of nodes").click()
    await expect(page.get_by_text("21–40 of 1,000")).to_be_visible()
    await page.get_by_role("searchbox", name="Filter nodes").fill("gpu-0777")
    await expect(row(page, "Nodes", "gpu-0777")).to_contain_text("s377:en, s378:en, s379:en")
    await expect(page.get_by_role("table", name="Nodes").get_by_role("row")).to_have_count(2)
    await page.get_by_role("searchbox", name="Filter pools").fill("nothing")
    await expect(page.locator("#pools").get_by_text("Nothing matches the filter.")).to_be_visible()


async def test_waiting_jobs_are_shown_by_priority_with_the_part_of_the_largest_key(page: Page, served: Served) -> None:
    rig = Rig(settings=Settings(order=FAIR))
    for key, priority in (("loud", 5), ("loud", 5), ("loud", 5), ("quiet", 1)):
        await rig.submit(share=Share(priority, key, 1.0))
    await (await FakeStream.of(rig)).serve(page)
    await page.goto(served.url)
    facts = page.locator("#jobs .facts")
    await expect(facts).to_contain_text("1: 1, 5: 3")
    await expect(facts).to_contain_text("75\u202f% of what waits, of 2 keys")


async def test_a_waiting_job_shows_its_place_in_fair_order(page: Page, served: Served) -> None:
    job = await submit(served, wait_s=5)

    async def answer(route: Route) -> None:
        why = await (await route.fetch()).json()
        why["waiting"] = {"priority": 5, "higher_waiting": 1, "keys_ahead": 2, "key_waiting": 3}
        await route.fulfill(json=why)

    await page.route("**/why", answer)
    await page.goto(f"{served.url}/#job={job['job_id']}")
    life = page.get_by_role("dialog", name=f"Job {job['job_id']}")
    await expect(life).to_contain_text("priority 5. Before the next job of its key: 1 job of higher priorities")
    await expect(life).to_contain_text("the turns of 2 other keys. 3 jobs of its key wait here.")


async def test_rows_keep_their_places_under_the_pointer(pages: PageMaker, served: Served) -> None:
    page, _ = await pages.new(viewport={"width": 1280, "height": 900})
    await opened(page, served)
    await page.get_by_role("table", name="Nodes").get_by_role("button", name="Slots in use").click()
    await row(page, "Nodes", "cyd").hover()
    names = page.get_by_role("table", name="Nodes").get_by_role("rowheader")
    before = await names.all_inner_texts()
    served.gate.clear()
    jobs = [asyncio.create_task(submit(served, "en:en", wait_s=10)) for _ in range(2)]
    await expect(page.locator(".tile", has_text="Slots in use")).to_contain_text("2 of 6")
    assert await names.all_inner_texts() == before
    served.gate.set()
    await asyncio.gather(*jobs)


async def test_a_token_is_requested_and_kept_in_this_tab_only(pages: PageMaker, served: Served) -> None:
    page, watched = await pages.new()
    watched.tolerated += ["401 (Unauthorized)", "403 (Forbidden)"]
    status = {None: 401, "Bearer bad": 401, "Bearer client": 403}

    async def guarded(route: Route) -> Any:
        refused = status.get(await route.request.header_value("authorization"))
        if refused:
            await route.fulfill(status=refused, content_type="application/problem+json", body='{"detail": "no"}')
        else:
            await route.continue_()

    await page.route("**/v1/**", guarded)
    await page.goto(served.url)
    question = page.get_by_role("dialog", name="This scheduler wants a token")
    field = question.get_by_label("Token of an admin")
    await expect(field).to_be_focused()
    for token, answer in (("bad", "does not count"), ("client", "another role")):
        await field.fill(token)
        await page.keyboard.press("Enter")
        await expect(question).to_contain_text(answer)
    await field.fill("good")
    await page.keyboard.press("Enter")
    await expect(page.locator(LIVE)).to_have_count(1)
    await expect(question).to_be_hidden()
    assert "good" in await page.evaluate("() => JSON.stringify(sessionStorage)")
    assert "good" not in await page.evaluate("() => JSON.stringify(localStorage) + document.cookie + location.href")
    await page.reload()
    await expect(page.locator(LIVE)).to_have_count(1)
    await page.get_by_role("button", name="Forget token").click()
    await expect(question).to_be_visible()
    assert "good" not in await page.evaluate("() => JSON.stringify(sessionStorage)")


async def test_everything_can_be_done_by_keyboard(page: Page, served: Served) -> None:
    await submit(served, wait_s=5)
    await opened(page, served)
    await expect(row(page, "Nodes", "ann")).to_be_visible()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the figures")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    chart = page.get_by_role("slider", name="Throughput")
    await expect(chart).to_be_focused()
    assert await chart.evaluate("(one) => getComputedStyle(one).outlineStyle") == "solid"
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("ArrowLeft")
    reported = await chart.get_attribute("aria-valuetext")
    assert reported is not None and "completed" in reported
    await page.keyboard.press("End")
    await expect(page.locator("figure.read")).to_have_count(1)
    button = page.get_by_role("button", name="Drain bob")
    for _ in range(40):
        await page.keyboard.press("Tab")
        if await button.evaluate("(one) => one === document.activeElement"):
            break
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog", name="Drain bob?")).to_be_visible()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Resume bob")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Resume bob")).to_be_focused()


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "dark")])
async def test_axe_finds_nothing(pages: PageMaker, served: Served, scheme: Any, width: int) -> None:
    job = await submit(served, wait_s=5, why=1)
    page, _ = await pages.new(color_scheme=scheme, viewport={"width": width, "height": 900}, reduced_motion="reduce")
    await opened(page, served)
    await expect(row(page, "Last ended jobs", job["job_id"])).to_be_visible()
    assert await violations(page) == []
    await page.get_by_role("button", name="Drain ann").click()
    assert await violations(page) == []
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name=job["job_id"]).click()
    await expect(page.get_by_role("dialog")).to_contain_text("What happened")
    assert await violations(page) == []


async def test_axe_finds_a_planted_fault(page: Page, served: Served) -> None:
    await opened(page, served)
    await page.evaluate("() => { document.querySelector('.tile .sub').style.color = '#ccc' }")
    assert any("color-contrast" in violation for violation in await violations(page))


async def test_a_hidden_tab_disconnects_and_reconnects(pages: PageMaker, served: Served) -> None:
    page, _ = await pages.new()
    await page.clock.install()
    await opened(page, served)
    viewers = page.locator("#foot-version")
    await expect(viewers).to_contain_text("1 viewer")
    show = (
        "(state) => { Object.defineProperty(document, 'visibilityState', { value: state, configurable: true }); "
        "document.dispatchEvent(new Event('visibilitychange')) }"
    )
    await page.evaluate(show, "hidden")
    await page.clock.fast_forward(61_000)
    await expect(page.locator(".state")).to_contain_text("Paused")
    await page.evaluate(show, "visible")
    await expect(page.locator(".state")).to_contain_text("Live")
