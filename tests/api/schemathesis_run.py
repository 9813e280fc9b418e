"""schemathesis against a running scheduler with nodes: python -m tests.api.schemathesis_run --examples N [--tokens].

All checks except use_after_free run against the server's own document (schemathesis.toml, schemathesis_hooks.py). Then
the server must still serve a job, and its log must have no error. Exit codes: 0 clean, 1 not.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.e2e.processes import TONE, Process, Scheduler, wait_until
from tests.e2e.secured import Keys, Secured
from tests.servers import place_of

HERE = Path(__file__).parent
FLAGS = (
    "--wait-s-max",
    "0.05",
    "--waiting-timeout-s",
    "2",
    "--no-node-grace-s",
    "3600",
    "--why-every",
    "10",
    "--log-sample",
    "0",
)
PAIRS = "zh:en,en:zh"
NODES = ("n-1", "n-2")
UNDRAIN_S = 0.5
"""Nodes that a case has drained take jobs again after this time."""
UNFINISHED = ("waiting", "dispatched")
ENDED = ("completed", "failed", "cancelled")
SUMMARY = re.compile(r"(\d+) generated")


@dataclass
class Outcome:
    """The findings of a run. `text` is the output of schemathesis, with a curl line to paste for each failure."""

    clean: bool
    cases: int
    text: str
    seconds: float
    wrong: list[str]
    """Defects of the server after the run."""
    states: dict[str, int]
    """How the jobs that are still in memory ended."""

    def summary(self) -> str:
        """Summarise the findings in one line."""
        return f"{self.cases} cases in {self.seconds:.0f} s, jobs {self.states}; afterwards: {self.wrong or 'all well'}"


def run(folder: Path, examples: int, seed: int, tokens: bool, jobs: str = "memory") -> Outcome:
    """Start a scheduler, with `tokens` or not, and nodes, and call each operation with `examples` examples.

    Phases with cases of their own, one for each edge of each schema and one for sequences of calls, come on top.
    """
    start_s = time.monotonic()
    with contextlib.ExitStack() as closing:
        keys = Keys(folder) if tokens else None
        store, *flags = closing.enter_context(place_of(jobs, "embedded"))
        flags += FLAGS
        scheduler = Secured(folder, keys, *flags, store=store) if keys else Scheduler(folder, store, *flags)
        closing.callback(scheduler.stop)
        client = httpx.Client(
            base_url=scheduler.url, headers=keys.header("root") if keys else None, trust_env=False, timeout=20
        )
        closing.enter_context(client)
        for node_id in NODES:
            arguments = ["node", "--url", scheduler.url, "--id", node_id, "--pairs", PAIRS, "--slots", "4"]
            arguments += ["--token", keys.secrets["gpu"]] if keys else []
            closing.callback(Process(folder, node_id, *arguments, "--engine", "sleep:0.005").stop)
        wait_until(lambda: scheduler.node_ids() == sorted(NODES))
        with undrained(client):
            token = ["--header", f"Authorization: Bearer {keys.secrets['root']}"] if keys else []
            code, text = call(scheduler.url, folder, examples, seed, *token)
        wrong = what_is_wrong_with(scheduler, client)
        states = {state: len(scheduler.get(f"/v1/jobs?limit=1000&state={state}")["jobs"]) for state in ENDED}
    found = SUMMARY.search(text)
    cases = int(found[1]) if found else 0
    return Outcome(code == 0, cases, text, time.monotonic() - start_s, wrong, {k: v for k, v in states.items() if v})


def called(folder: Path, bug: str, path: str) -> tuple[int, str]:
    """Call one path of a scheduler that has a planted bug."""
    planted = type("Planted", (Scheduler,), {"program": (sys.executable, "-m", "tests.api.planted", bug)})
    scheduler = planted(folder, "memory", *FLAGS)
    try:
        return call(scheduler.url, folder, 20, 1, "--include-path", path)
    finally:
        scheduler.stop()


def call(url: str, folder: Path, examples: int, seed: int, *options: str) -> tuple[int, str]:
    """Run schemathesis in a process of its own; return its exit code and output."""
    command = [
        *(str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(HERE / "schemathesis.toml"), "run"),
        *(f"{url}/openapi.json", "--max-examples", str(examples), "--seed", str(seed), "--continue-on-failure"),
        *("--generation-database", "none", "--no-color", "--request-timeout", "20", "--warnings", "off"),
        *options,
    ]
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.api.schemathesis_hooks",
        "PYTHONPATH": str(HERE.parents[1]),
    }
    # It keeps its caches in this folder.
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def what_is_wrong_with(scheduler: Scheduler, client: httpx.Client) -> list[str]:
    """Return the defects of a scheduler after the run: errors in its log, jobs that don't end, a new job that fails."""
    wrong = [f"log: {line}" for line in scheduler.events() if line["level"] == "error"]
    try:
        wait_until(lambda: not any(client.get(f"/v1/jobs?state={state}").json()["jobs"] for state in UNFINISHED))
    except AssertionError:
        wrong.append("jobs that do not end")
    for node in client.get("/v1/nodes").json()["nodes"]:
        client.post(f"/v1/nodes/{node['node_id']}/drain?on=false")  # an example may have drained it
    try:
        wait_until(lambda: client.post("/v1/jobs?pair=zh:en&wait_s=5", content=TONE).json().get("state") == "completed")
    except AssertionError:
        wrong.append("a new job does not complete")
    return wrong


@contextlib.contextmanager
def undrained(client: httpx.Client) -> Iterator[None]:
    """Let drained nodes take jobs again, until cancelled: the cases learn their names and drain them."""
    over = threading.Event()

    def undrain() -> None:
        while not over.wait(UNDRAIN_S):
            for node_id in NODES:
                client.post(f"/v1/nodes/{node_id}/drain?on=false")

    thread = threading.Thread(target=undrain)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def main() -> None:
    """Run it as a command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--examples", type=int, default=2000, help="of each operation, in each phase")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tokens", action="store_true", help="against a scheduler with tokens, as an admin")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vp-st-") as folder:
        outcome = run(Path(folder), arguments.examples, arguments.seed, arguments.tokens)
    print(outcome.text)
    print(outcome.summary())
    sys.exit(0 if outcome.clean and not outcome.wrong else 1)


if __name__ == "__main__":
    main()
