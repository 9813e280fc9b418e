"""`python -m voxpool.loadtest.compare_bench` measures how often `voxpool-load compare` is right.

It makes pairs of short runs, A and B at the same time, each against a separate scheduler: some pairs with two healthy
schedulers, some whose B delays each job. Every pair is compared as the command does, and a table shows the number of
answers no worse, worse and unclear.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from voxpool.leakgate.terminal import say
from voxpool.loadtest.commands._compare import SECONDS, Change, Comparison, compare
from voxpool.loadtest.report._records import read_report
from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.errors import ConfigError
from voxpool.sim.planted.served import served_with

SLOWER = 0.1
"""The planted delay of each job, as a share of the mean latency of the previous healthy pair."""
LOCUST = (
    *("locust", "-f", str(Path(__file__).parent), "--headless", "--only-summary"),
    *("-u", "60", "-r", "60", "--rate-per-user", "0.5", "--audio-bytes", "1000"),
)
"""30 jobs/s of 50 ms: about a tenth of a core for each scheduler and each generator."""
SERVE = ("--retention-s", "15", "--cleanup-interval-s", "3", "--log-sample", "0")
START_S = 60.0
SERVER = "serve-late"
WORDS = {0: "no worse", 1: "worse", 2: "unclear"}


def late_by(delay_s: float) -> type[Dispatcher]:
    """Return a dispatcher whose jobs begin to wait for a node `delay_s` after they were accepted."""
    if not delay_s:
        return Dispatcher

    class LateDispatcher(Dispatcher):
        def _wait(self, job: Job) -> None:
            asyncio.get_running_loop().call_later(delay_s, self._wait_now, job)

        def _wait_now(self, job: Job) -> None:
            if not job.ended:
                super()._wait(job)

    return LateDispatcher


def serve(delay_ms: float, arguments: Sequence[str]) -> None:
    """Run `voxpool serve` with a delayed dispatcher."""
    from voxpool.scheduler.cli import main as voxpool

    sys.argv[1:] = ["serve", *arguments]
    with served_with(dispatcher=late_by(delay_ms / 1000)):
        voxpool()


def run_pair(out: Path, seed: int, seconds: float, delay_ms: float) -> Comparison:
    """Run A and B at the same time, with reports in `out`, and return how they compare."""
    out.mkdir(parents=True)
    servers: list[subprocess.Popen[bytes]] = []
    try:
        urls = []
        for side, delay in (("a", 0.0), ("b", delay_ms)):
            port = _free_port()
            words = [SERVER, f"{delay:g}", "--port", str(port), *SERVE]
            servers.append(_process(["voxpool.loadtest.compare_bench", *words], out / f"{side}.server.log"))
            urls.append(f"http://127.0.0.1:{port}")
        for url, server in zip(urls, servers, strict=True):
            _wait_for(url, server)
        runs = []
        for side, url in zip("ab", urls, strict=True):
            words = ["-t", f"{seconds:g}s", "--seed", str(seed), "--host", url, "--out", str(out / side)]
            runs.append(_process([*LOCUST, *words], out / f"{side}.log"))
        for run in runs:
            run.wait()
    finally:
        for server in servers:
            server.terminate()
            server.wait()
    return compare(read_report(out / "a"), read_report(out / "b"))


def _process(words: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        return subprocess.Popen([sys.executable, "-m", *words], stdin=subprocess.DEVNULL, stdout=file, stderr=file)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise ConfigError(f"the scheduler at {url} did not start")


@click.command()
@click.option("--pairs", type=click.IntRange(1), default=10, show_default=True, help="Pairs of each kind.")
@click.option("--seconds", type=click.FloatRange(1), default=SECONDS, show_default=True, help="Length of a run.")
@click.option("--slower", type=click.FloatRange(0), default=SLOWER, show_default=True, help="Share added in slow B's.")
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Seed of the first pair; each further pair adds one.",
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/compare-bench"), show_default=True)
def main(pairs: int, seconds: float, slower: float, seed: int, out: Path) -> None:
    """Measure how often `voxpool-load compare` is right for runs of SECONDS."""
    counts: dict[str, Counter[str]] = {"same": Counter(), "slower": Counter()}
    for number in range(pairs):
        delay_ms = 0.0
        for kind, words in counts.items():
            found = run_pair(out / f"{kind}-{number}", seed + number, seconds, delay_ms if kind == "slower" else 0.0)
            words[WORDS[found.exit_code]] += 1
            by_name = {one.name: one for one in found.changes}
            delay_ms = 1000 * slower * (by_name["mean"].a or 0.0)
            say(f"{kind} {number}: {WORDS[found.exit_code]}; {_changes(by_name.values())}")
    for kind, words in counts.items():
        say(f"{kind}: " + ", ".join(f"{words[word]} {word}" for word in WORDS.values()))


def _changes(changes: Iterable[Change]) -> str:
    return ", ".join(
        f"{one.name} {'?' if one.change is None else format(one.change, '+.3g')} {one.word}" for one in changes
    )


if __name__ == "__main__":
    if sys.argv[1:2] == [SERVER]:
        serve(float(sys.argv[2]), sys.argv[3:])
    else:
        main()
