"""/try in normal use: audio is recorded, chosen, dropped or generated, and a real node's result is shown."""

from __future__ import annotations

import io
import re
import wave
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.async_api import Locator, Page, WebSocketRoute, expect

from tests.browser.conftest import PageMaker
from tests.e2e.processes import EXAMPLES, Process, Scheduler, wait_until

PAIRS = "en:en,zh:en"
AUDIO_BYTES_MAX = 50_000
"""The limit that some tests send to the page: a second and a half of its recording."""
STATION = EXAMPLES / "station.wav"
MICROPHONE: dict[str, Any] = {"permissions": ["microphone"]}


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """A scheduler process with a node process that measures; one job may wait for a pair without a node."""
    folder = tmp_path_factory.mktemp("tried")
    flags = ("--waiting-max", "1", "--waiting-timeout-s", "60", "--no-node-grace-s", "86400")
    scheduler = Scheduler(folder, "memory", *flags)
    node = Process(folder, "node", "node", "--url", scheduler.url, "--id", "ann", "--pairs", PAIRS, "--slots", "2")
    wait_until(lambda: scheduler.node_ids() == ["ann"])
    yield scheduler
    assert node.stop() == 0
    assert scheduler.stop() == 0
    assert scheduler.events("scheduler_failed") == []


async def announce_small_limit(page: Page) -> None:
    """Let the page receive AUDIO_BYTES_MAX as the scheduler's limit."""

    def pass_on(route: WebSocketRoute) -> None:
        server = route.connect_to_server()
        limit = f'"audio_bytes_max":{AUDIO_BYTES_MAX}'
        server.on_message(lambda text: route.send(re.sub('"audio_bytes_max":[0-9]+', limit, str(text))))

    await page.route_web_socket("**/ws/session", pass_on)


async def opened(page: Page, scheduler: Scheduler) -> Page:
    """The page, once it is connected."""
    await page.goto(f"{scheduler.url}/try")
    await expect(page.get_by_role("status").filter(has_text="Connected")).to_be_visible()
    return page


def answers(page: Page) -> Locator:
    """The cards of the sent jobs, newest first."""
    return page.get_by_role("region", name="Results").get_by_role("listitem").filter(has=page.get_by_role("heading"))


async def choose(page: Page, pair: str) -> None:
    """Choose a listed pair, or type another one."""
    select = page.get_by_role("combobox", name="Language pair")
    if pair in PAIRS:
        await select.select_option(pair)
    else:
        await select.select_option("another one …")
        await page.get_by_role("textbox", name="Language pair").fill(pair)


async def send(page: Page, pair: str) -> Locator:
    """Send the chosen audio; return its card."""
    await choose(page, pair)
    await page.get_by_role("button", name="Send", exact=True).click()
    return answers(page).first


def fact(card: Locator, name: str) -> Locator:
    """Return the node's value of that name."""
    return card.locator("dl > div").filter(has=card.page.locator("dt", has_text=name)).locator("dd")


async def number(card: Locator, name: str) -> float:
    """The same as a number, without its unit."""
    text = await fact(card, name).inner_text()
    return float(text.split(" ")[0].replace(",", ""))


async def test_an_uploaded_wav_is_sent_unchanged_and_its_result_shown(page: Page, tried: Scheduler) -> None:
    await opened(page, tried)
    await page.get_by_label("Sound file").set_input_files(STATION)
    await expect(page.locator("#sound-facts")).to_have_text("2.14\u202fs · 68.6\u202fkB")
    card = await send(page, "zh:en")
    await expect(card).to_contain_text("completed")
    await expect(card).to_contain_text("station.wav")
    with wave.open(str(STATION)) as file:
        seconds = file.getnframes() / file.getframerate()
    assert abs(await number(card, "duration") - seconds) < 0.01
    assert await number(card, "voice") > 1
    await expect(card).to_contain_text("with the node")
    life = card.get_by_role("link")
    job_id = await life.inner_text()
    shown = tried.get(f"/v1/jobs/{job_id}")
    assert (shown["state"], shown["pair"], shown["attempts"]) == ("completed", "zh:en", 1)
    await life.click()
    await expect(page.get_by_role("dialog", name=f"Job {job_id}")).to_contain_text("ann")


async def test_the_microphone_is_recorded_and_its_result_shown(pages: PageMaker, tried: Scheduler) -> None:
    page, _ = await pages.new(**MICROPHONE)
    await opened(page, tried)
    await page.get_by_role("button", name="Record").click()
    stop = page.get_by_role("button", name="Stop", exact=True)
    await expect(stop).to_be_focused()
    await expect(page.locator("#clock")).not_to_have_text(re.compile("0.[0-7]"))
    await stop.click()
    await expect(page.locator("#sound-name")).to_have_text("Recording")
    await page.get_by_role("button", name="Play").click()
    await expect(page.get_by_role("button", name="Stop playing")).to_be_visible()
    card = await send(page, "en:en")
    await expect(card).to_contain_text("completed")
    assert await number(card, "duration") >= 0.8
    assert await number(card, "voice") > 0.1, "it is the speech that the microphone hears"
    assert (await number(card, "sample rate"), await number(card, "channels")) == (16_000, 1)


async def test_a_recording_stops_at_the_limit_of_the_scheduler(pages: PageMaker, tried: Scheduler) -> None:
    page, _ = await pages.new(**MICROPHONE)
    await announce_small_limit(page)
    await opened(page, tried)
    await page.get_by_role("button", name="Record").click()
    await expect(page.locator("#recording-sub")).to_contain_text("after 1")
    await expect(page.locator("#sound-name")).to_have_text("Recording")
    card = await send(page, "en:en")
    await expect(card).to_contain_text("completed")
    assert abs(await number(card, "duration") - AUDIO_BYTES_MAX / 32_000) < 0.01


async def test_audio_of_another_format_is_dropped_anywhere_and_converted_to_wav(page: Page, tried: Scheduler) -> None:
    await opened(page, tried)
    await page.evaluate(DROP_OPUS)
    await expect(page.locator("#sound-name")).to_have_text("voice.webm")
    await expect(page.locator("#sound-facts")).to_contain_text("made a WAV file")
    card = await send(page, "en:en")
    await expect(card).to_contain_text("completed")
    assert await number(card, "loudness") > -30


DROP_OPUS = """async () => {
  const context = new AudioContext();
  const tone = context.createOscillator();
  const heard = context.createMediaStreamDestination();
  tone.connect(heard);
  tone.start();
  const recorder = new MediaRecorder(heard.stream);
  const pieces = [];
  recorder.ondataavailable = ({ data }) => pieces.push(data);
  const stopped = new Promise((resolve) => { recorder.onstop = resolve; });
  recorder.start();
  setTimeout(() => recorder.stop(), 400);
  await stopped;
  await context.close();
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File(pieces, "voice.webm", { type: "audio/webm" }));
  document.querySelector("footer").dispatchEvent(new DragEvent("dragover", { dataTransfer, bubbles: true }));
  document.querySelector("footer").dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true }));
}"""


async def test_try_works_by_keyboard(page: Page, tried: Scheduler) -> None:
    await opened(page, tried)
    await expect(page.get_by_role("combobox", name="Language pair")).to_be_visible()

    async def tab_to(name: str, role: Any = "button") -> None:
        place = page.get_by_role(role, name=name, exact=True)
        for _ in range(12):
            await page.keyboard.press("Tab")
            if await place.evaluate("(one) => one === document.activeElement"):
                return
        raise AssertionError(f"{name} can't be reached")

    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the form")).to_be_focused()
    await page.keyboard.press("Enter")
    await tab_to("Take a test tone")
    await page.keyboard.press("Enter")
    await expect(page.locator("#sound-name")).to_have_text("Test tone")
    await tab_to("Language pair", "combobox")
    await page.keyboard.press("z")
    await tab_to("Send")
    await page.keyboard.press("Enter")
    await expect(answers(page).first).to_contain_text("completed")
    await expect(answers(page).first).to_contain_text("zh:en")
    await expect(page.locator("#status")).to_have_text("Test tone: completed")


async def test_missing_or_invalid_input_is_reported_at_its_field(page: Page, tried: Scheduler) -> None:
    await announce_small_limit(page)
    await opened(page, tried)
    alert = page.locator("#sound-failure")
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(alert).to_have_text("Record a sound or choose a file first.")
    await expect(page.get_by_role("button", name="Record")).to_be_focused()
    upload = page.get_by_label("Sound file")
    await upload.set_input_files({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no sound"})
    await expect(alert).to_have_text("notes.txt is no sound that this browser knows. Take a WAV file.")
    await upload.set_input_files({"name": "long.wav", "mimeType": "audio/wav", "buffer": silence(2)})
    await expect(alert).to_contain_text("too large: the scheduler takes 50\u202fkB at most")
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(answers(page)).to_have_count(0)
    await page.get_by_role("button", name="Take another").click()
    await expect(alert).to_be_hidden()
    await upload.set_input_files(EXAMPLES / "tone.wav")
    await expect(page.locator("#sound-name")).to_have_text("tone.wav")
    await choose(page, "english")
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page.locator("#pair-failure")).to_contain_text("source:target")
    await page.get_by_role("textbox", name="Language pair").fill("ZH:EN")
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(answers(page).first).to_contain_text("completed")


async def test_an_unreadable_wav_is_rejected_by_the_node(page: Page, tried: Scheduler) -> None:
    await opened(page, tried)
    broken = b"RIFF\0\0\0\0WAVE" + b"?" * 100
    await page.get_by_label("Sound file").set_input_files(
        {"name": "broken.wav", "mimeType": "audio/wav", "buffer": broken}
    )
    await expect(page.get_by_role("button", name="Play")).to_be_disabled()
    card = await send(page, "en:en")
    await expect(card).to_contain_text("failed")
    await expect(card).to_contain_text("The node says")
    await expect(card.get_by_role("button", name="Send again")).to_be_visible()


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("", "The microphone was not allowed"),
        ("Object.defineProperty(window, 'isSecureContext', { value: false })", "only to pages from HTTPS"),
        (
            "navigator.mediaDevices.getUserMedia = () => { throw new DOMException('', 'NotFoundError') }",
            "No microphone",
        ),
    ],
    ids=["refused", "insecure", "none"],
)
async def test_a_missing_microphone_has_a_reason(pages: PageMaker, tried: Scheduler, how: str, says: str) -> None:
    page, _ = await pages.new()
    await page.add_init_script(how)
    await opened(page, tried)
    await page.get_by_role("button", name="Record").click()
    await expect(page.get_by_role("alert").filter(has_text=says)).to_be_visible()
    await page.get_by_role("button", name="Take a test tone").click()
    await expect(page.get_by_role("alert").filter(has_text=says)).to_have_count(0)


async def test_a_busy_scheduler_is_retried_and_a_waiting_job_is_cancelled(page: Page, tried: Scheduler) -> None:
    await opened(page, tried)
    await page.get_by_role("button", name="Take a test tone").click()
    await send(page, "xx:yy")
    await expect(answers(page).nth(0)).to_contain_text("it waits for a node")
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(answers(page).nth(0)).to_contain_text("As many jobs wait for this pair as may. It is sent again in")
    await answers(page).nth(1).get_by_role("button", name="Cancel").click()
    await expect(answers(page).nth(1)).to_contain_text("cancelled")
    await expect(answers(page).nth(0)).to_contain_text("it waits for a node")
    await answers(page).nth(0).get_by_role("button", name="Cancel").click()
    await expect(answers(page).nth(0)).to_contain_text("cancelled")
    states = {job["state"] for job in tried.get("/v1/jobs")["jobs"] if job["pair"] == "xx:yy"}
    assert states == {"cancelled"}


async def test_a_recording_is_sent_byte_for_byte(page: Page, tried: Scheduler) -> None:
    """Base64 is right across the borders of its chunks, and Python reads the WAV file."""
    await opened(page, tried)
    size, same = await page.evaluate(
        """async () => {
          const { base64 } = await import("/assets/try/protocol.js");
          const bytes = Uint8Array.from({ length: 100_003 }, (_, place) => (place * 7919) % 256);
          const back = Uint8Array.from(atob(base64(bytes)), (letter) => letter.charCodeAt(0));
          return [back.length, back.every((byte, place) => byte === bytes[place])];
        }"""
    )
    assert (size, same) == (100_003, True)
    data = await page.evaluate(
        """async () => {
          const { encodeWav } = await import("/assets/try/wav.js");
          return [...encodeWav(Float32Array.of(0, 1, -1, 0.5, 7, -7))];
        }"""
    )
    with wave.open(io.BytesIO(bytes(data))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)
        samples = memoryview(file.readframes(6)).cast("h").tolist()
    assert samples == [0, 32767, -32768, 16384, 32767, -32768]


def silence(seconds: int) -> bytes:
    """A WAV file of zeros."""
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(seconds * 32_000))
    return data.getvalue()
