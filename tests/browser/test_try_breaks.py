"""/try under failures: a scheduler that crashes, a network that fails, a scheduler that rejects its jobs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.conftest import GONE, PageMaker, Served
from tests.browser.fake_session import WELCOME, Answer, FakeSession, Message
from tests.browser.test_try import answers, opened, send
from tests.e2e.processes import Scheduler, until
from voxpool.scheduler.sdk import Work, Worker

TONE = "Take a test tone"


def request_id(sent: list[Message]) -> set[str]:
    """Return the request ids of all submits."""
    return {message["request_id"] for message in sent if message["type"] == "submit"}


@contextlib.asynccontextmanager
async def node(url: str, gate: asyncio.Event) -> AsyncIterator[Worker]:
    """A node in this process that works on its job until the gate is open."""

    async def work(work: Work) -> str:
        await gate.wait()
        return "said once"

    worker = Worker(url, node_id="ann", pairs=["en:en"], slots=2, work=work)
    running = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        gate.set()
        worker.stop()
        await running


@contextlib.contextmanager
def scheduler(folder: Path, name: str, port: int = 0) -> Iterator[Scheduler]:
    """A scheduler process that ends with the test."""
    process = Scheduler(folder, "memory", port=port, name=name)
    try:
        yield process
    finally:
        process.popen.kill()
        process.popen.wait()


async def test_a_crash_of_the_scheduler_loses_no_result(pages: PageMaker, tmp_path: Path) -> None:
    """The page reconnects by itself, submits the same request to the next scheduler, and shows one result."""
    page, watched = await pages.new()
    watched.tolerated += GONE
    gate = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        first = stack.enter_context(scheduler(tmp_path, "first"))
        await stack.enter_async_context(node(first.url, gate))
        await until(lambda: first.node_ids() == ["ann"])
        await opened(page, first)
        await page.get_by_role("button", name=TONE).click()
        card = await send(page, "en:en")
        await expect(card).to_contain_text("With ann.")
        first.popen.kill()
        await expect(page.get_by_text("No connection:")).to_be_visible()
        await expect(page.locator(".state")).to_contain_text("Reconnecting")
        await asyncio.to_thread(first.popen.wait)
        second = stack.enter_context(scheduler(tmp_path, "second", first.port))
        await expect(page.locator(".state")).to_contain_text("Connected", timeout=20_000)
        await until(lambda: second.node_ids() == ["ann"])
        gate.set()
        await expect(card).to_contain_text("said once")
        await expect(page.get_by_text("No connection:")).to_have_count(0)
        await expect(answers(page)).to_have_count(1)
        assert [job["request_id"] for job in second.get("/v1/jobs")["jobs"]] == [await shown_request(card)]
        await page.goto("about:blank")


async def test_a_result_during_a_network_failure_is_delivered_later(pages: PageMaker, served: Served) -> None:
    page, watched = await pages.new()
    watched.tolerated += GONE
    await opened(page, served.scheduler)
    served.gate.clear()
    served.output = "said once"
    await page.get_by_role("button", name=TONE).click()
    card = await send(page, "en:en")
    await expect(card).to_contain_text("With ")
    await page.context.set_offline(True)
    await expect(page.get_by_text("No connection: this device is offline.")).to_be_visible()
    served.gate.set()
    await until(lambda: newest_state(served) == "completed")
    await expect(card).not_to_contain_text("said once")
    await page.context.set_offline(False)
    await expect(card).to_contain_text("said once")
    jobs = served.scheduler.get("/v1/jobs")["jobs"]
    assert sum(job["request_id"] == jobs[0]["request_id"] for job in jobs) == 1
    assert jobs[0]["request_id"] == await shown_request(card)


async def test_a_cancel_during_a_network_failure_is_sent_later(pages: PageMaker, served: Served) -> None:
    page, watched = await pages.new()
    watched.tolerated += GONE
    await opened(page, served.scheduler)
    served.gate.clear()
    await page.get_by_role("button", name=TONE).click()
    card = await send(page, "en:en")
    await expect(card).to_contain_text("With ")
    await page.context.set_offline(True)
    await expect(page.get_by_text("No connection:")).to_be_visible()
    await card.get_by_role("button", name="Cancel").click()
    await expect(card).to_contain_text("cancelled")
    assert newest_state(served) == "dispatched"
    await page.context.set_offline(False)
    await until(lambda: newest_state(served) == "cancelled")


async def test_a_cancel_reaches_the_node(page: Page, served: Served) -> None:
    await opened(page, served.scheduler)
    served.gate.clear()
    await page.get_by_role("button", name=TONE).click()
    card = await send(page, "en:en")
    await expect(card).to_contain_text("With ")
    await card.get_by_role("button", name="Cancel").click()
    await expect(card).to_contain_text("cancelled")
    await expect(card.get_by_role("button", name="Cancel")).to_be_hidden()
    assert newest_state(served) == "cancelled"
    served.gate.set()
    await card.get_by_role("button", name="Send again").click()
    await expect(answers(page)).to_have_count(2)
    await expect(answers(page).first).to_contain_text("completed")


@pytest.mark.parametrize(
    ("answer", "says", "button"),
    [
        (
            {"type": "error", "reason": "bad_protocol", "detail": "too old"},
            "does not take this page: too old.",
            "again",
        ),
        ({**WELCOME, "protocol": 2}, "does not take this page: it speaks 2, this page 1.", "again"),
        (4000, "another page goes on with this session", "again"),
        (
            {"type": "error", "reason": "sessions_max", "detail": "7 are open", "retry_after_ms": 600_000},
            "No connection: 7 are open. Next try in 600 s.",
            "now",
        ),
        ("{", "No connection: what it says can't be understood.", ""),
        (1011, "No connection: the scheduler does not answer.", ""),
    ],
    ids=["older", "newer", "replaced", "full", "garbled", "cut"],
)
async def test_the_reason_of_a_lost_connection_is_shown(
    page: Page, served: Served, answer: Answer, says: str, button: str
) -> None:
    """Temporary failures are retried without a click."""
    is_mended = asyncio.Event()
    fake = FakeSession(lambda connection, message: [WELCOME if is_mended.is_set() else answer])
    await fake.serve(page)
    await page.goto(f"{served.url}/try")
    await expect(page.get_by_text(says)).to_be_visible()
    is_mended.set()
    if button:
        await page.get_by_role("button", name=f"Try {button}").click()
    await expect(page.locator(".state")).to_contain_text("Connected")
    await expect(page.get_by_text(says)).to_have_count(0)


async def test_a_stopping_scheduler_leaves_the_request_to_the_next_one(page: Page, served: Served) -> None:
    def answer(connection: int, message: Message) -> list[Answer]:
        if message["type"] == "hello":
            return [WELCOME]
        about = {"request_id": message["request_id"], "job_id": f"j{connection}"}
        if connection == 1:
            return [{"type": "rejected", "reason": "stopping", "retry_after_ms": 1000, **about}, 1012]
        times = {"waiting": 1, "dispatched": 1, "total": 2}
        end = {"type": "result", "state": "completed", "output": "done", "attempts": 1, "times_ms": times}
        return [{"type": "accepted", **about}, {**end, **about}, {**end, **about}]

    fake = FakeSession(answer)
    await fake.serve(page)
    await page.goto(f"{served.url}/try")
    await page.get_by_role("button", name=TONE).click()
    card = await send(page, "en:en")
    await expect(card).to_contain_text("done")
    await expect(answers(page)).to_have_count(1)
    assert len(request_id(fake.received)) == 1
    greetings = [message for message in fake.received if message["type"] == "hello"]
    assert [greeting["resume"] for greeting in greetings] == [False, True]
    assert len({greeting["session_id"] for greeting in greetings}) == 1


async def test_a_result_is_acknowledged_and_a_repeated_one_is_shown_once(page: Page, served: Served) -> None:
    """The connection breaks after the result; the next hello lists received results, and the result comes again."""

    def answer(connection: int, message: Message) -> list[Answer]:
        if message["type"] == "hello":
            return [{**WELCOME, "generation": "g"}, *([result] if connection == 2 else [])]
        if message["type"] == "submit":
            result.update(request_id=message["request_id"], job_id="j1")
            return [{"type": "accepted", "request_id": message["request_id"], "job_id": "j1"}, result]
        return [1011]  # it has acknowledged

    times = {"waiting": 1, "dispatched": 1, "total": 2}
    result = {"type": "result", "number": 1, "state": "completed", "output": "done", "attempts": 1, "times_ms": times}
    fake = FakeSession(answer)
    await fake.serve(page)
    await page.goto(f"{served.url}/try")
    await page.get_by_role("button", name=TONE).click()
    card = await send(page, "en:en")
    await expect(card).to_contain_text("done")
    await until(lambda: [message["type"] for message in fake.received].count("hello") == 2)
    assert [message["number"] for message in fake.received if message["type"] == "ack"] == [1]
    second = [message for message in fake.received if message["type"] == "hello"][1]
    assert (second["acks"], second["resume"], second["generation"], second["ack"]) == (True, True, "g", 1)
    await expect(answers(page)).to_have_count(1)


async def test_a_message_too_large_for_a_proxy_is_not_retried_for_ever(page: Page, served: Served) -> None:
    fake = FakeSession(lambda connection, message: [WELCOME if message["type"] == "hello" else 1009])
    await fake.serve(page)
    await page.goto(f"{served.url}/try")
    await page.get_by_role("button", name=TONE).click()
    card = await send(page, "en:en")
    await expect(card).to_contain_text("Not taken. The sound is too large")
    await expect(page.locator(".state")).to_contain_text("Connected")
    assert len([message for message in fake.received if message["type"] == "submit"]) == 1


def newest_state(served: Served) -> Any:
    """Return the state of the job that was submitted last."""
    return served.scheduler.get("/v1/jobs")["jobs"][0]["state"]


async def shown_request(card: Locator) -> str:
    """Return the request id on a card."""
    return (await card.get_by_text("request r-").inner_text()).removeprefix("request ")
