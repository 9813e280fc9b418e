"""Edge cases of /try: hostile text stays text, nothing sticks out at any width, and axe finds no violation."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import FilePayload, Page, expect

from tests.browser.conftest import HOSTILE, PageMaker, Served, fits, violations
from tests.browser.fake_session import WELCOME, Answer, FakeSession, Message
from tests.browser.test_try import MICROPHONE, answers, opened, send
from tests.e2e.processes import EXAMPLES
from voxpool.scheduler.sdk import WorkFailed

UNSERVED = re.compile("it waits for a node|No node that serves this pair")
"""A size that a new scheduler accepts and a later one rejects."""
LONG = "a-very-long-name-without-any-place-to-break-" * 4


async def upload(page: Page, name: str) -> None:
    """Choose a file with that name."""
    wav: FilePayload = {"name": name, "mimeType": "audio/wav", "buffer": (EXAMPLES / "tone.wav").read_bytes()}
    await page.get_by_label("Sound file").set_input_files(wav)
    await expect(page.locator("#sound-name")).to_have_text(name)


async def unharmed(page: Page) -> bool:
    """True when no text has become a part of the page."""
    return await page.title() == "voxpool: try it" and await page.locator("img:not([role]), main script").count() == 0


async def test_text_from_outside_stays_text(page: Page, served: Served) -> None:
    """Outputs of all forms, the reason of a failure, and the name of the file."""
    await opened(page, served.scheduler)
    await upload(page, HOSTILE.replace("/", "|"))
    for output in (
        HOSTILE,
        {"text": HOSTILE, "score": 1},
        {HOSTILE: HOSTILE},
        {HOSTILE: [HOSTILE]},
        [HOSTILE],
        WorkFailed(HOSTILE),
    ):
        served.output = output
        card = await send(page, "en:en")
        await expect(card).to_contain_text("failed" if isinstance(output, Exception) else "completed")
        await expect(card).to_contain_text("<img src=x onerror")
        assert await unharmed(page)


async def test_text_of_the_scheduler_stays_text(page: Page, served: Served) -> None:
    """The page must not rely on a benign scheduler."""

    def answer(connection: int, message: Message) -> list[Answer]:
        if message["type"] == "hello":
            if connection == 1:
                return [{"type": "error", "reason": HOSTILE, "detail": HOSTILE}]
            return [{**WELCOME, "session_id": HOSTILE}]
        about = {"request_id": message["request_id"], "job_id": HOSTILE}
        if message["pair"] == "en:en":
            return [{"type": "rejected", "reason": HOSTILE, "detail": HOSTILE, **about}]
        times = {"waiting": 0, "dispatched": 0, "total": 0}
        end = {"type": "result", "state": HOSTILE, "error": HOSTILE, "attempts": 3, "times_ms": times}
        return [{"type": "accepted", **about}, {**end, **about}]

    await FakeSession(answer).serve(page)
    await page.goto(f"{served.url}/try")
    await expect(page.get_by_text("does not take this page: <img")).to_be_visible()
    await page.get_by_role("button", name="Try again").click()
    await upload(page, "tone.wav")
    await expect(await send(page, "en:en")).to_contain_text("Not taken. <img")
    card = await send(page, "zh:en")
    await expect(card.get_by_role("link")).to_have_text(HOSTILE)
    assert await unharmed(page)


async def filled(page: Page, served: Served) -> None:
    """Show one card of each kind on the page."""
    await opened(page, served.scheduler)
    await upload(page, f"{LONG}.wav")
    outputs: list[Any] = [{"text": LONG, "score": 0.93}, {"a": [1]}, WorkFailed(LONG), {f"{LONG}_s": 1.5, LONG: LONG}]
    for number, served.output in enumerate(outputs, 1):
        await send(page, "en:en")
        await expect(answers(page)).to_have_count(number)
        await expect(answers(page).first).to_contain_text("request r-")
    served.gate.clear()
    await expect(await send(page, "zh:en")).to_contain_text("With ")
    await expect(await send(page, f"{'x' * 16}:{'y' * 16}")).to_contain_text(UNSERVED)


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "dark")])
async def test_axe_finds_nothing_and_nothing_sticks_out(
    pages: PageMaker, served: Served, scheme: Any, width: int
) -> None:
    viewport: Any = {"width": width, "height": 900}
    page, _ = await pages.new(color_scheme=scheme, viewport=viewport, reduced_motion="reduce", **MICROPHONE)
    await opened(page, served.scheduler)
    assert await violations(page) == [] and await fits(page)
    await filled(page, served)
    await page.get_by_role("button", name="Send", exact=True).blur()
    assert await violations(page) == [] and await fits(page)
    await page.get_by_role("button", name="Take another").click()
    await page.get_by_role("button", name="Record").click()
    await expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    assert await violations(page) == [] and await fits(page)


async def test_axe_finds_a_planted_fault(page: Page, served: Served) -> None:
    await opened(page, served.scheduler)
    await page.evaluate("() => { document.querySelector('.opening .sub').style.color = '#ccc' }")
    found = await violations(page)
    assert any("color-contrast" in one for one in found)
