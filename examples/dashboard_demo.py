"""Fills the dashboard: a scheduler, twelve nodes in several pools, traffic that rises and falls, and failures.

Run it as `make dashboard-demo`, or `python examples/dashboard_demo.py`; Ctrl-C ends it. Now and then nodes lose their
connection, answer with errors, fail several jobs in a row, or are drained.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import random
import signal
import socket
import subprocess
import sys
import tempfile
import wave
import webbrowser
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from voxpool import Client, SchedulerUnreachable, SubmitRejected, Work, Worker, WorkFailed

if TYPE_CHECKING:
    from playwright.async_api import Page

PORT = 5010
PATIENCE_S = 30.0
SETTINGS = (
    "--retention-s",
    "60",
    "--cleanup-interval-s",
    "10",
    "--rest-s",
    "12",
    "--heartbeat-s",
    "5",
    "--lease-s",
    "20",
)
KEPT = ("--why-every", "1", "--why-jobs-max", "20000", "--log-level", "warning")

NODES: dict[str, tuple[list[str], int]] = {
    "gpu-1": (["zh:en", "en:zh"], 6),
    "gpu-2": (["zh:en", "en:zh"], 6),
    "gpu-3": (["zh:en", "en:zh", "ja:en"], 4),
    "gpu-4": (["zh:en", "en:zh"], 4),
    "gpu-5": (["ja:en", "en:ja"], 4),
    "gpu-6": (["ja:en", "en:ja", "ko:en"], 4),
    "gpu-7": (["ko:en"], 2),
    "berlin-1": (["de:en", "en:de", "fr:en", "en:fr"], 4),
    "berlin-2": (["de:en", "en:de", "fr:en", "en:fr"], 4),
    "berlin-3": (["de:en", "en:de", "fr:en", "en:fr", "es:en"], 4),
    "edge-1": (["es:en", "en:es"], 2),
    "edge-2": (["es:en", "en:es"], 2),
}
RATES: dict[str, float] = {
    "zh:en": 12.0,
    "en:zh": 8.0,
    "ja:en": 5.0,
    "en:ja": 3.0,
    "de:en": 5.0,
    "en:de": 4.0,
    "fr:en": 3.0,
    "es:en": 2.0,
    "en:es": 2.0,
    "ko:en": 1.5,
}
"""Jobs a second of each pair, on average."""
SERVICE_S = 0.6
SWELL_S = 90.0
"""Period in which the traffic rises and falls; each pair has its own phase."""
FULL_CHARTS_S = 330.0
"""The charts show five minutes and are full after this time."""


class Fleet:
    """The nodes, all in this process. Each can lose its connection or fail all jobs for some time."""

    def __init__(self, url: str, chance: random.Random) -> None:
        self._url = url
        self._chance = chance
        self._failing: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str) -> None:
        """Connect a node."""
        pairs, slots = NODES[name]
        worker = Worker(self._url, node_id=name, pairs=pairs, slots=slots, work=partial(self._work, name))
        self._tasks[name] = asyncio.create_task(worker.run())

    async def stop(self, name: str) -> None:
        """Disconnect a node, even while it works."""
        task = self._tasks.pop(name)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def stop_all(self) -> None:
        """Disconnect all nodes."""
        await asyncio.gather(*(self.stop(name) for name in list(self._tasks)))

    async def mishaps(self, every_s: float) -> None:
        """Make a random failure happen from time to time, until cancelled."""
        while True:
            await asyncio.sleep(self._chance.expovariate(1 / every_s))
            name = self._chance.choice(sorted(self._tasks))
            if self._chance.random() < 0.6:
                await self.stop(name)
                await asyncio.sleep(self._chance.uniform(1, 6))
                self.start(name)
            else:
                self._failing.add(name)
                await asyncio.sleep(3)
                self._failing.discard(name)

    async def _work(self, name: str, work: Work) -> dict[str, object]:
        await asyncio.sleep(self._chance.lognormvariate(math.log(SERVICE_S) - 0.18, 0.6))
        if name in self._failing:
            raise WorkFailed("out_of_memory", retryable=True)
        if self._chance.random() < 0.004:
            raise WorkFailed("no_speech")
        return {"text": "where is the railway station", "pair": work.pair, "confidence": 0.93}


class Traffic:
    """Submits jobs at random times; the results are shown by the dashboard only."""

    def __init__(self, client: Client, chance: random.Random, speed: float) -> None:
        self._client = client
        self._chance = chance
        self._speed = speed
        self._audio = audio()
        self._jobs: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Submit jobs until cancelled."""
        await asyncio.gather(*(self._pair(pair, rate, place) for place, (pair, rate) in enumerate(RATES.items())))

    async def _pair(self, pair: str, rate: float, place: int) -> None:
        loop = asyncio.get_running_loop()
        while True:
            swell = 1 + 0.55 * math.sin(2 * math.pi * (loop.time() / SWELL_S + place / len(RATES)))
            await asyncio.sleep(self._chance.expovariate(rate * swell * self._speed))
            task = asyncio.create_task(self._submit(pair))
            self._jobs.add(task)
            task.add_done_callback(self._jobs.discard)

    async def _submit(self, pair: str) -> None:
        gives_up = self._chance.random() < 0.004
        with contextlib.suppress(SubmitRejected, SchedulerUnreachable, TimeoutError):
            async with asyncio.timeout(0.3 if gives_up else None):
                await self._client.submit(self._audio, pair)


def audio() -> bytes:
    """Return a tenth of a second of silence as a WAV file."""
    file = BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(16000)
        wav.writeframes(bytes(3200))
    return file.getvalue()


async def run(url: str, options: argparse.Namespace) -> None:
    """Run the demo until its time is up or a signal ends it."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    chance = random.Random(options.seed)
    fleet = Fleet(url, chance)
    for name in NODES:
        fleet.start(name)
    async with Client(url, in_flight_max=5000) as client:
        roles = [
            asyncio.create_task(Traffic(client, chance, options.speed).run()),
            asyncio.create_task(fleet.mishaps(options.mishap_s)),
        ]
        try:
            async with asyncio.timeout(options.seconds or None):
                await stop.wait()
        except TimeoutError:
            if options.screenshot:
                await screenshot(url, options)
        finally:
            for role in roles:
                role.cancel()
            await asyncio.gather(*roles, return_exceptions=True)
            await fleet.stop_all()


async def screenshot(url: str, options: argparse.Namespace) -> None:
    """Let Chromium take a screenshot of the page as a PNG file."""
    import shutil

    from playwright.async_api import async_playwright  # is installed by `make setup`

    width, height = (int(side) for side in options.size.split("x"))
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = await chromium.new_page(
            viewport={"width": width, "height": height}, color_scheme=options.scheme, device_scale_factor=options.scale
        )
        await (show_try if options.page == "try" else show_dashboard)(page, url)
        await page.screenshot(path=options.screenshot, full_page=options.full)
        await chromium.close()
    print(f"{options.screenshot} is drawn", flush=True)


async def show_dashboard(page: Page, url: str) -> None:
    """Open the dashboard and let it run for a moment."""
    await page.goto(url)
    await page.locator("[data-stream=live] body.full").wait_for()
    await page.wait_for_timeout(2500)


async def show_try(page: Page, url: str) -> None:
    """Open /try, and send an example file to two pools."""
    await page.goto(f"{url}/try")
    await page.locator("#pair option[value='zh:en']").wait_for(state="attached")
    await page.locator("#file").set_input_files(Path(__file__).with_name("station.wav"))
    for pair in ("ja:en", "zh:en"):
        await page.locator("#pair").select_option(pair)
        await page.locator("#send").click()
        await page.locator(".answer", has_text=pair).locator("blockquote").wait_for()
    await page.locator("#send").blur()
    await page.mouse.move(0, 0)


@contextlib.contextmanager
def scheduler(port: int) -> Iterator[str]:
    """Run a scheduler as a process of its own; yield its URL."""
    log = Path(tempfile.mkdtemp(prefix="voxpool-dashboard-")) / "scheduler.log"
    command = [
        sys.executable,
        "-m",
        "voxpool.scheduler",
        "serve",
        "--port",
        str(port),
        "--store",
        "memory",
        *SETTINGS,
        *KEPT,
    ]
    with log.open("wb") as file:
        # It has its own session: Ctrl-C reaches this process only, which then ends the other in order.
        process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
    try:
        wait_for_port(process, port, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if warnings := [json.loads(line)["event"] for line in log.read_text().splitlines() if '"level":"error"' in line]:
        print(f"The scheduler logged errors ({', '.join(sorted(set(warnings)))}): {log}")


def wait_for_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until the scheduler accepts connections."""
    while True:
        if process.poll() is not None:
            raise SystemExit(f"The scheduler did not start:\n{log.read_text()}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return


def choose_port(wanted: int | None) -> int:
    """Return `wanted`, or the usual port if it is not in use, or a free port."""
    for port in [wanted] if wanted else [PORT, 0]:
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(listener.getsockname()[1])
    raise SystemExit(f"port {wanted} is taken; choose another one, or none")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the options."""
    parser = argparse.ArgumentParser(prog="make dashboard-demo", description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, help=f"where to listen; {PORT} or a free port unless given")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.add_argument("--seconds", type=float, default=0, help="end after so long; never unless given")
    parser.add_argument("--speed", type=float, default=1.0, help="of the traffic; 2 is overload")
    parser.add_argument("--mishap-s", type=float, default=25.0, help="mean time between two mishaps")
    parser.add_argument("--seed", type=int, default=1, help="of traffic and mishaps")
    parser.add_argument(
        "--screenshot", metavar="FILE", help="draw a page into FILE at the end, which is when it is full"
    )
    parser.add_argument("--page", choices=["dashboard", "try"], default="dashboard", help="which page is drawn")
    parser.add_argument("--size", default="1440x1180", help="of the screenshot")
    parser.add_argument("--scale", type=float, default=1.0, help="pixels of the screenshot a pixel of the page")
    parser.add_argument("--scheme", choices=["light", "dark"], default="light", help="of the screenshot")
    parser.add_argument("--full", action="store_true", help="the whole page, not only its top")
    options = parser.parse_args(arguments)
    if options.screenshot and not options.seconds:
        options.seconds = FULL_CHARTS_S if options.page == "dashboard" else 3
    return options


def main(arguments: list[str]) -> int:
    """Run the demo."""
    options = parse(arguments)
    with scheduler(choose_port(options.port)) as url:
        print(f"The dashboard is at {url}/, a page to try it at {url}/try (Ctrl-C ends all)", flush=True)
        if options.open:
            webbrowser.open(url)
        asyncio.run(run(url, options))
    print("All of it has ended.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
