"""The environment in which the snippets of the pages run: a folder, a scheduler, nodes, and files."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reference.pages import ROOT
from tests.certificates import make_certificate
from tests.docs.snippet_table import ENDLESS, NODE, ROWS, Endless
from tests.docs.statements import statements
from tests.e2e.processes import Scheduler, wait_until
from tests.servers import RedisServer
from tests.unit.load_reports import load_report
from voxpool.loadtest.report._reporting import write_report
from voxpool.scheduler.sdk import Worker
from voxpool.scheduler.sdk.http import HttpClient
from voxpool.sim.replay.case import Case, keep, run_case
from voxpool.sim.scenario.scenario import load_scenario

PATIENCE_S = 200.0
LINKED = ("examples", "loadtest", "scripts", "Makefile", "pyproject.toml", "tests", "requirements.lock")
"""Parts of the tree that snippets read."""
SPEECH, NODE_ID = "speech.wav", "spare"
REST = 'name = "part"\nduration_s = 1\n[[nodes]]\ncount = 1\npairs = ["zh:en"]\n'
"""The parts that an incomplete scenario lacks."""
FAILING = REST + '[expect]\ncompleted_jobs = ">= 1"\n'
SHOP = "def order(item: str) -> str:\n    return item\n"
"""A program of the reader that docs/leakgate.md attaches to."""
MODEL = "def transcribe(audio: bytes) -> str:\n    return 'text'\n"
PRELUDE = f"my_model = lambda audio: 'text'\nwav_bytes = open({SPEECH!r}, 'rb').read()\n"
"""Names that snippets of Python presuppose."""


class Stage:
    """A scheduler with the nodes of the tests, for all pages; each page gets a copy of the folder `files`."""

    def __init__(self, folder: Path) -> None:
        self.scheduler = Scheduler(folder, "embedded", patience_s=PATIENCE_S)
        self.redis = RedisServer(folder)
        self.redis.start()
        self.files = _files(folder / "files")

    def stop(self) -> None:
        """End the processes."""
        self.redis.kill()
        assert self.scheduler.stop() == 0

    @contextmanager
    def nodes(self) -> Iterator[None]:
        """Two nodes that do every job of the pages; the pages drain one of them."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        workers = [
            Worker(self.scheduler.url, node_id=name, pairs=["en:en", "zh:en"], work=lambda work: "text", slots=8)
            for name in (NODE_ID, "steady")
        ]
        runs = [asyncio.run_coroutine_threadsafe(worker.run(), loop) for worker in workers]
        try:
            wait_until(lambda: {NODE_ID, "steady"} <= set(self.scheduler.node_ids()), PATIENCE_S)
            yield
        finally:
            for worker in workers:
                loop.call_soon_threadsafe(worker.stop)
            for run in runs:
                run.result(PATIENCE_S)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


def _files(folder: Path) -> Path:
    """Write the files that the snippets use."""
    folder.mkdir()
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "examples" / "greeting.wav", folder / SPEECH)
    (folder / "mymodels").mkdir()
    (folder / "mymodels" / "whisper.py").write_text(MODEL)
    (folder / "shop.py").write_text(SHOP)
    made = make_certificate(folder)
    made.cert.rename(folder / "cert.pem")
    made.key.rename(folder / "key.pem")
    for name in ("a", "b"):
        write_report(load_report(1), folder / "runs" / name)
    (folder / "failing.toml").write_text(FAILING)
    case = Case(load_scenario(folder / "failing.toml"), 1)
    keep(case, run_case(case)[0], folder / "out" / "failed" / "RUN")
    (folder / ".curlrc").write_text("fail\nsilent\nshow-error\n")
    return folder


class Running:
    """A process of a snippet that keeps running."""

    def __init__(self, process: subprocess.Popen[bytes], statement: str, endless: Endless) -> None:
        self.process = process
        self.statement = statement
        self.endless = endless

    def end(self) -> str:
        """End it as its user does; return the error, or ''."""
        self.process.send_signal(self.endless.ended_by)
        code = self.process.wait(PATIENCE_S)
        return "" if code in self.endless.exit_codes else f"{self.statement}: exit code {code} after the signal"


class Page:
    """One page on the stage: runs its blocks one after the other. `wrong` collects the failures."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.wrong: list[str] = []
        self._stage = stage
        self._scheduler = stage.scheduler
        self.folder = folder / "page"
        shutil.copytree(stage.files, self.folder, symlinks=True)
        self._staying: Running | None = None
        self._job_id = ""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("VOXPOOL_", "LOCUST_"))}
        self._environment = kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "VOXPOOL_URL": self._scheduler.url,
            "VOXPOOL_STATE_DIR": str(self.folder / "state"),
            "CURL_HOME": str(self.folder),
            "LOCUST_WEB_PORT": "0",
            "TOKEN": "secret",
        }

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_staying()

    def shell(self, text: str) -> None:
        """Run each statement of a block of shell."""
        for statement in statements(text):
            row = ROWS.get(statement)
            if row is None or row.run:
                self._run(row.run if row else statement, row.exit_codes if row else (0,))

    def python(self, text: str) -> None:
        """Run a block of Python as a program; in a coroutine when it awaits at the top level."""
        if re.search(r"^def test_", text, re.MULTILINE):
            (self.folder / "test_snippet.py").write_text(text)
            self._run("python -m pytest -q -p no:cacheprovider -c /dev/null --rootdir . test_snippet.py", (0,))
            return
        if re.search(r"^(async with|await|async for) ", text, re.MULTILINE):
            text = f"import asyncio\nasync def main():\n{textwrap.indent(text, '    ')}\nasyncio.run(main())\n"
        (self.folder / "snippet.py").write_text(PRELUDE + self._here(text))
        self._run("python snippet.py", (0,))

    def _run(self, statement: str, exit_codes: tuple[int, ...]) -> None:
        endless = next((one for one in ENDLESS if statement.startswith(one.begins)), None)
        if endless is not None and endless.sign == NODE:
            self._end_staying()
        before = set(self._scheduler.node_ids())
        environment = dict(self._environment)
        if statement.startswith("voxpool serve"):
            environment["VOXPOOL_PORT"] = "0"
        log = self.folder / "output.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                ["bash", "-c", self._here(f"set -o pipefail; {'' if endless is None else 'exec '}{statement}")],
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=self.folder, env=environment,
                start_new_session=True,
            )  # fmt: skip

        def answers() -> bool:
            if endless is None:
                return False
            if endless.sign == NODE:
                return bool(set(self._scheduler.node_ids()) - before)
            return endless.sign in log.read_text(errors="replace")

        try:
            wait_until(lambda: process.poll() is not None or answers(), PATIENCE_S)
        except AssertionError:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self.wrong.append(f"{statement}: no end and no answer in {PATIENCE_S:g} s\n{log.read_text()[-2000:]}")
            return
        if process.poll() is not None:
            if process.returncode not in exit_codes:
                self.wrong.append(f"{statement}: exit code {process.returncode}\n{log.read_text()[-2000:]}")
        elif endless is not None:
            running = Running(process, statement, endless)
            if endless.stays:
                self._staying = running
            else:
                self.wrong += filter(None, [running.end()])

    def _end_staying(self) -> None:
        running, self._staying = self._staying, None
        if running is not None:
            self.wrong += filter(None, [running.end()])
            wait_until(lambda: len(self._scheduler.node_ids()) <= 2, PATIENCE_S)

    def _here(self, text: str) -> str:
        """Return a snippet with the addresses and names of this stage instead of those of the pages."""
        if "JOB_ID" in text and not self._job_id:
            with HttpClient(self._scheduler.url) as client:
                self._job_id = client.submit((self.folder / SPEECH).read_bytes(), "nobody:here").job_id
        port = str(self._scheduler.port)
        for shown, here in (
            ("127.0.0.1:5010", f"127.0.0.1:{port}"),
            ("redis://127.0.0.1:6379/0", self._stage.redis.url),
            ("--pid 4711", f"--pid {self._scheduler.pid}"),
            ("JOB_ID", self._job_id),
            ("NODE_ID", NODE_ID),
        ):
            text = text.replace(shown, here)
        return re.sub(r"--port \d+", "--port 0", text)


def check_scenario_part(text: str, folder: Path) -> None:
    """Read a block of TOML as `voxpool-sim run` does; a scenario without nodes is a part of one. Raises ConfigError."""
    (folder / "part.toml").write_text(text if "[[nodes]]" in text else REST + text)
    load_scenario(folder / "part.toml")


def check_json(text: str) -> None:
    """Read a block of JSON: one value, or one a line. Raises ValueError."""
    for line in text.splitlines() if text.count("\n{") else [text]:
        json.loads(line)
