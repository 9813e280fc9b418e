"""The dashboard shows the state of the scheduler, updates itself, and drains a node; a job shows its history."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.conftest import PageMaker, Served, fits
from tests.e2e.processes import TONE, until
from voxpool.scheduler.sdk import Client, WorkFailed


async def opened(page: Page, served: Served) -> Page:
    """The dashboard, once its stream is connected."""
    await page.goto(served.url)
    await expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    return page


def row(page: Page, table: str, name: str) -> Locator:
    """The row of a table by its first cell."""
    return (
        page.get_by_role("table", name=table)
        .get_by_role("row")
        .filter(has=page.get_by_role("rowheader", name=name, exact=True))
    )


async def submit(served: Served, pair: str = "en:en", **query: Any) -> dict[str, Any]:
    """Submit a job over HTTP and return it."""
    async with httpx.AsyncClient(base_url=served.url, trust_env=False, timeout=30) as http:
        answer = await http.post("/v1/jobs", params={"pair": pair, **query}, content=TONE)
        assert answer.status_code in (200, 202), answer.text
        job: dict[str, Any] = answer.json()
        return job


async def test_nodes_pools_and_jobs_appear_and_update_by_themselves(page: Page, served: Served) -> None:
    await opened(page, served)
    for name in served.workers:
        await expect(row(page, "Nodes", name)).to_contain_text("ready")
    await expect(row(page, "Pools", "en:en")).to_contain_text("0 of 6")
    await expect(row(page, "Pools", "zh:en")).to_contain_text("0 of 4")
    served.gate.clear()
    async with Client(served.url) as client:
        jobs = [asyncio.create_task(client.submit(TONE, "zh:en")) for _ in range(5)]
        await expect(row(page, "Nodes", "ann")).to_contain_text("2 of 2")
        await expect(row(page, "Pools", "zh:en")).to_contain_text("4 of 4")
        waiting = row(page, "Pools", "zh:en").get_by_role("cell").last
        await expect(waiting).to_have_text("1")
        await expect(page.locator(".tile", has_text="Waiting")).to_contain_text("most for zh:en: 1")
        await expect(page.locator(".tile", has_text="Slots in use")).to_contain_text("4 of 6")
        served.gate.set()
        results = await asyncio.gather(*jobs)
    await expect(row(page, "Last ended jobs", results[-1].job_id)).to_contain_text("completed")
    await expect(page.locator(".counts li", has_text="waiting")).to_contain_text("0")
    await expect(page.locator(".tile", has_text="Wait, p99")).to_contain_text("p50 ")


async def test_failed_jobs_are_found_among_the_others(page: Page, served: Served) -> None:
    served.output = WorkFailed("no_speech")
    bad = (await submit(served, wait_s=5))["job_id"]
    served.output = "good"
    good = (await submit(served, wait_s=5))["job_id"]
    await opened(page, served)
    await expect(row(page, "Last ended jobs", good)).to_be_visible()
    await page.get_by_role("button", name="Failed", exact=True).click()
    await expect(row(page, "Last ended jobs", bad)).to_contain_text("no speech")
    await expect(row(page, "Last ended jobs", good)).to_have_count(0)


async def test_draining_a_node_asks_for_confirmation(page: Page, served: Served) -> None:
    await opened(page, served)
    button = page.get_by_role("button", name="Drain ann")
    await button.click()
    await expect(page.get_by_role("dialog", name="Drain ann?")).to_contain_text("it has none now")
    await page.get_by_role("button", name="Cancel").click()
    assert "ann" in await asyncio.to_thread(served.scheduler.node_ids)
    await button.click()
    await page.get_by_role("dialog").get_by_role("button", name="Drain").click()
    await expect(row(page, "Nodes", "ann")).to_contain_text("draining")
    assert await asyncio.to_thread(served.scheduler.node_ids) == ["bob", "cyd"]
    for _ in range(4):
        assert (await submit(served, "zh:en", wait_s=5))["node_id"] == "bob"
    await page.get_by_role("button", name="Resume ann").click()
    await page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    await expect(row(page, "Nodes", "ann")).to_contain_text("ready")
    await until(lambda: "ann" in served.scheduler.node_ids())


async def test_a_rejected_drain_shows_its_reason(pages: PageMaker, served: Served) -> None:
    page, watched = await pages.new()
    watched.tolerated.append("404 (Not Found)")
    await opened(page, served)
    await page.get_by_role("button", name="Drain cyd").click()
    served.workers["cyd"].stop()
    await until(lambda: "cyd" not in [node["node_id"] for node in served.scheduler.get("/v1/nodes")["nodes"]])
    await page.get_by_role("dialog").get_by_role("button", name="Drain").click()
    await expect(page.get_by_role("alert")).to_contain_text("That did not work")


async def test_a_job_shows_its_history(page: Page, served: Served) -> None:
    served.output = WorkFailed("engine_error", "no such speaker", retryable=True)
    served.gate.clear()
    job_id = (await submit(served, why=1, backoff_ms=0))["job_id"]
    await opened(page, served)
    await page.keyboard.press("/")
    await page.keyboard.type(job_id)
    await page.keyboard.press("Enter")
    life = page.get_by_role("dialog", name=f"Job {job_id}")
    await expect(life).to_contain_text("dispatched")
    await expect(life).to_contain_text("goes on")
    served.gate.set()
    await expect(life).to_contain_text("Ended: attempts max")
    steps = await life.get_by_role("listitem").all_inner_texts()
    reported = "\n".join(steps)
    assert reported.index("Submitted") < reported.index("chosen for attempt 1") < reported.index("Taken back from")
    assert "looked at" in reported and "attempt 4" in reported
    assert reported.count("engine_error: no such speaker") == 5, "of each attempt, and at the end"
    assert page.url.endswith(f"#job={job_id}")
    await page.keyboard.press("Escape")
    await expect(life).to_be_hidden()
    assert "#" not in page.url


async def test_a_job_without_history_shows_how_to_record_it(page: Page, served: Served) -> None:
    job = await submit(served, wait_s=5)
    await page.goto(f"{served.url}/#job={job['job_id']}")
    life = page.get_by_role("dialog", name=f"Job {job['job_id']}")
    await expect(life).to_contain_text("voxpool submit --why")
    await expect(life).to_contain_text(f"Sent to {job['node_id']}")
    await expect(life.get_by_role("region", name="Result")).to_contain_text('"text": "hello"')
    await expect(life).to_contain_text("3 nodes: 3 with room.")


async def test_an_unknown_job_has_a_plain_message(pages: PageMaker, served: Served) -> None:
    page, watched = await pages.new()
    watched.tolerated.append("404 (Not Found)")
    await opened(page, served)
    await page.get_by_role("searchbox", name="Job id").fill("no-such-job")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("no job 'no-such-job'")


async def test_a_chart_is_read_by_pointer(page: Page, served: Served) -> None:
    await submit(served, wait_s=5)
    await opened(page, served)
    chart = page.get_by_role("slider", name="Throughput")
    await chart.hover()
    await expect(page.locator("figure.read")).to_contain_text("at ")
    box = await chart.bounding_box()
    assert box is not None
    await page.mouse.move(0, 0)
    await expect(page.locator("figure.read")).to_have_count(0)


async def settled(page: Page, script: str) -> Any:
    """Return what `script` returns once it stays the same for longer than the second between two snapshots."""
    found, same = await page.evaluate(script), 0
    while same < 5:
        await page.wait_for_timeout(300)
        again = await page.evaluate(script)
        found, same = again, same + 1 if again == found else 0
    return found


@pytest.mark.parametrize("width", [360, 1100, 1280, 1440])
async def test_nothing_moves_when_a_chart_is_read(pages: PageMaker, served: Served, width: int) -> None:
    await submit(served, wait_s=5)
    page, _ = await pages.new(viewport={"width": width, "height": 2600})
    await opened(page, served)
    charts = await page.get_by_role("slider").all()
    assert len(charts) == 5
    places = "() => [...document.querySelectorAll('.plot, .card, .foot')].map(one => one.getBoundingClientRect().top)"
    before = await settled(page, places)
    for chart in charts:
        await chart.hover()
        await expect(page.locator("figure.read")).to_contain_text("at ")
        assert await page.evaluate(places) == before


async def test_series_of_one_name_have_one_colour(page: Page, served: Served) -> None:
    await opened(page, served)
    marks = await page.evaluate("""() => [...document.querySelectorAll(".key, .counts li, h2:has(i)")].map(one => {
      const style = getComputedStyle(one.querySelector("i"));
      const name = (one.querySelector("span") ?? one).textContent.toLowerCase().split(", ").at(-1);
      return [name, one.matches(".counts li") ? style.backgroundColor : style.borderTopColor];
    })""")
    colours: dict[str, set[str]] = {}
    for name, colour in marks:
        colours.setdefault(name, set()).add(colour)
    assert {name: len(found) for name, found in colours.items() if len(found) > 1} == {}
    tiles = {"completed", "waiting", "p99", "failed"}
    assert all(sum(name == one for one, _ in marks) > 1 for name in tiles), marks


@pytest.mark.parametrize("width", [360, 768, 1440])
async def test_nothing_sticks_out_at_any_width(pages: PageMaker, served: Served, width: int) -> None:
    await submit(served, wait_s=5)
    page, _ = await pages.new(viewport={"width": width, "height": 800})
    await opened(page, served)
    await expect(row(page, "Nodes", "ann")).to_be_visible()
    assert await fits(page)
    assert await page.get_by_role("button", name="Drain ann").is_visible()


async def test_the_colours_follow_the_system_until_a_scheme_is_chosen(pages: PageMaker, served: Served) -> None:
    page, _ = await pages.new(color_scheme="dark")
    await opened(page, served)
    background = "() => getComputedStyle(document.body).backgroundColor"
    dark = await page.evaluate(background)
    await page.get_by_role("button", name="Colours: system").click()
    light = await page.evaluate(background)
    assert dark != light
    await page.reload()
    assert await page.evaluate(background) == light
    await page.get_by_role("button", name="Colours: light").click()
    assert await page.evaluate(background) == dark
