"""The pages over https: the stream of the dashboard, and the WebSocket of /try as wss."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.conftest import PageMaker
from tests.browser.test_dashboard import row
from tests.browser.test_tokens import enter
from tests.certificates import Certificate, make_certificate
from tests.e2e.conftest import running
from tests.e2e.secured import Keys, Secured
from tests.e2e.test_processes import started
from voxpool.scheduler.sdk import Worker


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


@pytest.fixture
def secured(tmp_path: Path, certificate: Certificate) -> Iterator[Secured]:
    trusting = ssl.create_default_context(cafile=certificate.cert)
    flags = ("--tls-cert", str(certificate.cert), "--tls-key", str(certificate.key))
    with started(Secured(tmp_path, Keys(tmp_path), *flags, verify=trusting)) as scheduler:
        yield scheduler
    assert scheduler.keys.shown_in(scheduler.log.read_bytes()) == []


async def test_both_pages_work_over_https(secured: Secured, certificate: Certificate, pages: PageMaker) -> None:
    keys = secured.keys.secrets
    worker = Worker(
        secured.url, node_id="ann", pairs=["en:en"], work=lambda work: 1, token=keys["gpu"], ca_file=certificate.cert
    )
    async with running(worker):
        for path, name in (("/", "root"), ("/try", "ann")):
            page, watched = await pages.new(ignore_https_errors=True)
            watched.tolerated += ["401 (Unauthorized)", "403 (Forbidden)"]
            await page.goto(secured.url + path)
            await enter(page, keys[name])
            await expect(page.locator("[data-stream=live]")).to_have_count(1)
            if path == "/":
                await expect(row(page, "Nodes", "ann")).to_be_visible()
                continue
            await page.get_by_role("button", name="Take a test tone").click()
            await page.get_by_role("textbox", name="Language pair").fill("en:en")
            await page.get_by_role("button", name="Send", exact=True).click()
            await expect(page.get_by_role("region", name="Results")).to_contain_text("completed")
    jobs = (await asyncio.to_thread(secured.ask, "ann", "GET", "/v1/jobs")).json()["jobs"]
    assert [job["state"] for job in jobs] == ["completed"]
