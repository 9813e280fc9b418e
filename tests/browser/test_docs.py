"""The page /docs: words are not broken, in both colour schemes and at any width, and its curl commands work."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Served, fits, violations
from tests.e2e.processes import TONE

BROKEN_WORDS = """() => [...document.querySelectorAll("th, td")].flatMap(cell => {
  if (cell.closest("thead")?.offsetWidth === 1) return [];  // for screen readers alone
  const found = [], walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode())
    for (const word of node.data.matchAll(/[A-Za-z0-9_]+/g)) {
      const range = document.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map(box => box.top)).size > 1) found.push(word[0]);
    }
  return found;
})"""
"""A script that returns the words of tables that are broken over several lines."""


@pytest.mark.timeout(300)  # the page is long, and axe looks at it twice
async def test_no_word_of_a_table_breaks_and_nothing_sticks_out(page: Page, served: Served) -> None:
    await page.goto(served.url + "/docs")
    for width in (1440, 360):
        await page.set_viewport_size({"width": width, "height": 900})
        assert await page.evaluate(BROKEN_WORDS) == [], width
        assert await fits(page), width
    for colours in ("light", "dark"):
        await page.emulate_media(color_scheme=colours)
        assert await violations(page) == [], colours


async def test_docs_explain_tokens_and_link_back(page: Page, served: Served) -> None:
    await page.goto(served.url + "/docs")
    await expect(page.locator("#how ~ p").first).to_contain_text("Authorization: Bearer")
    await page.get_by_role("link", name="Dashboard", exact=True).click()
    await expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()


async def test_each_curl_command_of_docs_works(page: Page, served: Served, tmp_path: Path) -> None:
    (tmp_path / "speech.wav").write_bytes(TONE)
    await page.goto(served.url + "/docs")
    _, job = await run('curl --data-binary @speech.wav "$VOXPOOL_URL/v1/jobs?pair=en:en&wait_s=9"', served, tmp_path)
    job_id = json.loads(job)["job_id"]
    sections = await page.locator("section").all()
    assert len(sections) > 20
    texts = [await section.locator("pre").inner_text() for section in sections]
    commands = [text.replace("JOB_ID", job_id).replace("trace=start", "trace=stop") for text in texts]
    found = await asyncio.gather(*(run(command, served, tmp_path) for command in commands))
    for command, (status, body) in zip(commands, found, strict=True):
        refused_rightly = '"reason":"unknown_node"' in body or '"reason":"trace_state"' in body
        assert status in (101, 200, 202) or refused_rightly, (command, status, body)


async def run(command: str, served: Served, folder: Path) -> tuple[int, str]:
    """Return the status and the body of a curl command; streams are cut off."""
    quiet = command.replace("curl", "curl --silent --max-time 3 --write-out '\n%{http_code}'", 1)
    process = await asyncio.create_subprocess_shell(
        quiet, cwd=folder, stdout=asyncio.subprocess.PIPE, env={**os.environ, "VOXPOOL_URL": served.url}
    )
    text, _ = await process.communicate()
    body, _, status = text.decode(errors="replace").rpartition("\n")
    return int(status), body
