"""A real Prometheus and Alertmanager on the files of ops/, with scaled durations, and a webhook for alerts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml

from ops.render import ALERTS, SECONDS, render
from tests.e2e.processes import wait_until

OPS = ALERTS.parents[1]
PROMETHEUS_FILE = OPS / "prometheus" / "prometheus.yml"
ALERTMANAGER_FILE = OPS / "alertmanager" / "alertmanager.yml"
JOB = "voxpool"
SCRAPE_MS = 500
RECEIVERS = ("http://pager.example/", "http://channel.example/")
"""The placeholders in the shipped file for the user's own receivers."""
PATIENCE_S = 30.0
SEEN_PATIENCE_S = 60.0
"""Patience for changes that Prometheus sees after some scrapes."""
_LISTENS = re.compile(r'msg="Listening on" address=(\S+)')
_DURATION = re.compile(r"\b(group_wait|group_interval|repeat_interval): (\d+)([smh])\b")


@dataclass(frozen=True)
class Notice:
    """One alert in a message to a receiver, at `at_s` of the monotonic clock."""

    at_s: float
    receiver: str
    status: str
    labels: Mapping[str, str]


class Receiver:
    """A webhook: the alerts that Alertmanager posts to /critical and /warning are stored in `notices`."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        notices = self.notices

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                now_s = time.monotonic()
                for alert in message["alerts"]:
                    notices.append(Notice(now_s, message["receiver"], alert["status"], alert["labels"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop the webhook."""
        self._server.shutdown()
        self._server.server_close()


class Prometheus:
    """Scrapes `instances` (host:port), with the rules of `scale` and an Alertmanager if there is one."""

    def __init__(self, folder: Path, instances: list[str], scale: float = 1.0, alertmanager: str = "") -> None:
        (folder / "alerts.yml").write_text(render(scale=scale))
        (folder / "prometheus.yml").write_text(prometheus_config(instances, alertmanager))
        self._process = _Server(
            folder / "prometheus.log",
            *("prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"),
            *("--web.listen-address=127.0.0.1:0", "--rules.alert.resend-delay=500ms"),
            "--enable-feature=exemplar-storage",
        )
        self.url = f"http://{self._process.address}"
        self.close = self._process.close

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the current series of `expression`; each has `metric` (labels) and `value`. Raises AssertionError."""
        found: list[dict[str, Any]] = self._ask("query", query=expression)["result"]
        return found

    def exemplars(self, expression: str) -> list[dict[str, str]]:
        """Return the labels of the exemplars in `expression` of the last minute."""
        now_s = time.time()
        series = self._ask("query_exemplars", query=expression, start=str(now_s - 60), end=str(now_s))
        return [exemplar["labels"] for one in series for exemplar in one["exemplars"]]

    def _ask(self, way: str, **parameters: str) -> Any:
        answer = httpx.get(f"{self.url}/api/v1/{way}", params=parameters, trust_env=False).json()
        assert answer["status"] == "success", f"{parameters}: {answer}"
        return answer["data"]


async def seen(look: Callable[[], bool], say: Callable[[], object]) -> None:
    """Return as soon as `look`, called in a thread, is true. Raises TimeoutError with the text of `say`."""
    try:
        async with asyncio.timeout(SEEN_PATIENCE_S):
            while not await asyncio.to_thread(look):  # noqa: ASYNC110
                await asyncio.sleep(SCRAPE_MS / 1000)
    except TimeoutError:
        raise TimeoutError(str(say())) from None


@contextlib.contextmanager
def alertmanager(folder: Path, receiver: Receiver, scale: float) -> Iterator[str]:
    """Run an Alertmanager that notifies `receiver`; yield its host:port."""
    file = folder / "alertmanager.yml"
    file.write_text(alertmanager_config(receiver.url, scale))
    server = _Server(
        folder / "alertmanager.log",
        *("prometheus-alertmanager", f"--config.file={file}", f"--storage.path={folder / 'alertmanager'}"),
        *("--web.listen-address=127.0.0.1:0", "--cluster.listen-address="),
    )
    try:
        yield server.address
    finally:
        server.close()


def prometheus_config(instances: list[str], alertmanager: str) -> str:
    """Return the shipped prometheus.yml with these targets, no token and short intervals. JSON is YAML, too."""
    config = yaml.safe_load(PROMETHEUS_FILE.read_text())
    config["global"] = dict.fromkeys(config["global"], f"{SCRAPE_MS}ms")
    config["scrape_configs"][0]["static_configs"] = [{"targets": instances}]
    del config["scrape_configs"][0]["authorization"]  # the schedulers of these tests have no tokens
    config["alerting"]["alertmanagers"][0]["static_configs"] = [{"targets": [alertmanager] if alertmanager else []}]
    return json.dumps(config)


def alertmanager_config(receiver_url: str, scale: float) -> str:
    """Return the shipped alertmanager.yml with durations times `scale` and both receivers at `receiver_url`."""
    text = ALERTMANAGER_FILE.read_text()
    for place in RECEIVERS:
        assert place in text
        text = text.replace(place, receiver_url)
    return _DURATION.sub(lambda m: f"{m[1]}: {round(1000 * scale * SECONDS[m[3]] * int(m[2]))}ms", text)


class _Server:
    """A server of the Prometheus family on a free port, which it logs."""

    def __init__(self, log: Path, *command: str) -> None:
        with log.open("wb") as file:
            self._process = subprocess.Popen(command, stdout=file, stderr=file)
        try:
            wait_until(lambda: self._process.poll() is not None or _LISTENS.search(log.read_text()), PATIENCE_S)
            output = _LISTENS.search(log.read_text())
            assert output is not None, log.read_text()
            self.address = output[1]
            ready = f"http://{self.address}/-/ready"
            wait_until(lambda: httpx.get(ready, trust_env=False).is_success, PATIENCE_S)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
