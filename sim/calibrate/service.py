"""Runs `voxpool serve` with a store and nodes in separate processes, and stops them at the end of the block."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from voxpool.scheduler.config import Settings
from voxpool.scheduler.config_sources import as_toml, load
from voxpool.scheduler.errors import VoxpoolError

START_S = 30.0
STOP_S = 15.0
LOOK_S = 0.02
_SAMPLE = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+)$", re.MULTILINE)


class ServiceFailed(VoxpoolError):
    """The scheduler or a node did not start, or ended during the run."""


class Service:
    """A running scheduler. `url` is its HTTP address."""

    def __init__(
        self, url: str, processes: Sequence[subprocess.Popen[bytes]], log: Path, http: httpx.AsyncClient
    ) -> None:
        self.url = url
        self._processes = processes
        self._log = log
        self._http = http

    async def metrics(self) -> dict[str, float]:
        """Return the samples of /metrics by name and labels, without the prefix.

        Raises ServiceFailed when it doesn't answer.
        """
        try:
            page = await self._http.get(f"{self.url}/metrics")
        except httpx.HTTPError as error:
            self.check()
            raise ServiceFailed(f"calibrate: the scheduler does not answer: {type(error).__name__}") from None
        return parse_metrics(page.text)

    def check(self) -> None:
        """Raise ServiceFailed when one of its processes has ended."""
        if any(process.poll() is not None for process in self._processes):
            raise ServiceFailed(f"calibrate: a process ended during the run: {last_line(self._log)}")


def parse_metrics(text: str) -> dict[str, float]:
    """Return the samples of a Prometheus page: 'jobs_resident{state="completed"}' -> 3.0."""
    found = {}
    for sample in _SAMPLE.finditer(text):
        labels = f"{{{sample['labels']}}}" if sample["labels"] else ""
        found[sample["name"].removeprefix("voxpool_") + labels] = float(sample["value"])
    return found


def last_line(log: Path) -> str:
    """Return the last line of a log that is not empty."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "its log is empty")


@asynccontextmanager
async def running(settings: Mapping[str, Any], store: str, nodes: int, slots: int, pair: str) -> AsyncIterator[Service]:
    """Run a scheduler and `nodes` nodes with `slots` slots for `pair`. Raises ServiceFailed, ConfigError."""
    given = load(None, {}, {**settings, "store": store, "port": 0, "drain_s": 0.0})
    environment = {key: value for key, value in os.environ.items() if not key.startswith("VOXPOOL_")}
    with tempfile.TemporaryDirectory(prefix="voxpool-") as folder:
        config, log = _config(Path(folder), given), Path(folder, "log")
        processes: list[subprocess.Popen[bytes]] = []

        def start(*words: str) -> None:
            with log.open("ab") as file:
                command = [sys.executable, "-m", *words]
                processes.append(subprocess.Popen(command, stdout=file, stderr=file, env=environment))

        try:
            async with httpx.AsyncClient(trust_env=False, timeout=START_S) as http:
                start("voxpool.scheduler", "serve", "--config", str(config))
                url = await _until(lambda: _started_url(log), processes, log)
                for number in range(1, nodes + 1):
                    start("voxpool.sim.calibrate.node", url, f"gpu-{number}", pair, str(slots))
                service = Service(url, processes, log, http)
                await _until_registered(service, http, nodes)
                yield service
        finally:
            _stop(processes)


def _config(folder: Path, settings: Settings) -> Path:
    path = folder / "voxpool.toml"
    path.write_text(as_toml(settings), encoding="utf-8")
    return path


async def _until(look: Callable[[], str], processes: Sequence[subprocess.Popen[bytes]], log: Path) -> str:
    try:
        async with asyncio.timeout(START_S):
            while not (found := look()):
                if any(process.poll() is not None for process in processes):
                    raise ServiceFailed(f"calibrate: the scheduler does not start: {last_line(log)}")
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise ServiceFailed(f"calibrate: the scheduler is not up within {START_S:g} s: {last_line(log)}") from None
    return found


def _started_url(log: Path) -> str:
    """Return the address that the scheduler has logged, or '' when it has not yet."""
    for line in log.read_text(encoding="utf-8").splitlines():
        if line.startswith("{") and '"scheduler_started"' in line:
            url: str = json.loads(line)["url"]
            return url
    return ""


async def _until_registered(service: Service, http: httpx.AsyncClient, nodes: int) -> None:
    try:
        async with asyncio.timeout(START_S):
            while (await http.get(f"{service.url}/v1/nodes")).json()["total"] < nodes:
                service.check()
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise ServiceFailed(f"calibrate: not all of {nodes} nodes registered within {START_S:g} s") from None


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Stop the nodes, then the scheduler, which was started first, and wait until all have ended."""
    for process in reversed(processes):
        process.terminate()
    for process in reversed(processes):
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
