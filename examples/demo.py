"""The demo: a scheduler and two nodes as processes, real audio, a node killed in the middle of a job, the leak.

Run it as `make demo`, or `python examples/demo.py`; `--no-leak` leaves out the simulation at the end. It needs no
Redis, no root and no network, and leaves no process behind.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from voxpool import Client, HttpClient
from voxpool.scheduler.protocol.answers import JobView

HERE = Path(__file__).parent
WAVS = sorted(HERE.glob("*.wav"))
PAIR = "en:en"
PATIENCE_S = 30.0
T = TypeVar("T")


def main() -> int:
    """Run all parts; return the exit code of the simulation, or 1."""
    out = Path(tempfile.mkdtemp(prefix="voxpool-demo-"))
    print(f"Logs, report and pictures go to {out}")
    with ExitStack() as processes:
        say("A scheduler (with the Valkey that comes with the package) and two nodes, each a process of its own")
        began_s = time.monotonic()
        log = out / "scheduler.log"
        serve = processes.enter_context(process(log, "-m", "voxpool.scheduler", "serve", "--port", "0"))
        url = wait_for("the scheduler", lambda: url_in(log), serve)
        print(f"  {url} answers {time.monotonic() - began_s:.2f} s after its start")
        nodes = {
            name: processes.enter_context(
                process(
                    out / f"{name}.log",
                    *("-m", "voxpool.scheduler", "node", "--url", url, "--id", name, "--pairs", PAIR),
                    *("--slots", "2", "--engine", "measure:0.5"),
                )
            )
            for name in ("ann", "bob")
        }
        client = processes.enter_context(HttpClient(url))
        wait_for("both nodes", lambda: client.show("/v1/nodes")["total"] == len(nodes))
        print(f"  nodes: {', '.join(nodes)}; they measure audio, and take half a second longer than they need")
        over_http(client)
        asyncio.run(over_websocket(url))
        survived = kill_a_node(client, nodes)
    if "--no-leak" in sys.argv[1:]:
        return 0 if survived else 1
    say("The question of the brief, in virtual time: do finished jobs leak? Without the clean-up and with it")
    done = subprocess.run(
        [sys.executable, "-m", "voxpool.sim", "leak", "--quick", "--out", str(out / "leak")], check=False
    )
    print(f"\nThe pictures, the report and the logs lie in {out}")
    return done.returncode if survived else 1


def over_http(client: HttpClient) -> None:
    """Submit all files over HTTP, then ask for each result."""
    say("WAV files over HTTP: POST /v1/jobs, then GET /v1/jobs/ID?wait_s=30")
    jobs = [(file, client.submit(file.read_bytes(), PAIR)) for file in WAVS]
    for file, job in jobs:
        job = client.job(job.job_id, wait_s=PATIENCE_S)
        print(f"  {file.name:14}{job.state:11}{job.node_id}  {measured(job.output)}")


async def over_websocket(url: str) -> None:
    """Submit all files at once over one WebSocket."""
    say("The same over one WebSocket, all at once")
    async with Client(url) as client:
        results = await asyncio.gather(*(client.submit(file.read_bytes(), PAIR) for file in WAVS))
    for file, result in zip(WAVS, results, strict=True):
        print(f"  {file.name:14}{result.state:11}{result.times_ms.total:5} ms  {measured(result.output)}")


def kill_a_node(client: HttpClient, nodes: dict[str, subprocess.Popen[bytes]]) -> bool:
    """Kill the node that works on a job; return True when the job ended well on the other node."""
    say("A node dies in the middle of a job (SIGKILL)")
    job_id = client.submit(WAVS[0].read_bytes(), PAIR).job_id

    def held() -> JobView | None:
        job = client.job(job_id)
        return job if job.state == "dispatched" else None

    first = wait_for("a node to take the job", held)
    nodes[first.node_id].send_signal(signal.SIGKILL)
    killed_s = time.monotonic()
    print(f"  job {job_id}, attempt {first.attempts}, was with {first.node_id}, which is dead now")
    job = client.job(job_id, wait_s=PATIENCE_S)
    took_s = time.monotonic() - killed_s
    print(f"  job {job_id} {job.state} on {job.node_id}, attempts={job.attempts}, {took_s:.2f} s after the kill")
    return job.state == "completed" and job.attempts == 2


@contextmanager
def process(log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run Python with `arguments`, its standard error in `log`; end it when the demo ends."""
    with log.open("wb") as file:
        running = subprocess.Popen([sys.executable, *arguments], stdout=file, stderr=file)
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def url_in(log: Path) -> str | None:
    """Return the URL that the scheduler logged when it was ready."""
    for line in log.read_text().splitlines():
        if line.startswith("{") and (fields := json.loads(line))["event"] == "scheduler_started":
            return str(fields["url"])
    return None


def wait_for(what: str, look: Callable[[], T | None], needs: subprocess.Popen[bytes] | None = None) -> T:
    """Return the first value of `look` that is not None. Fails when the process that it depends on ends."""
    end_s = time.monotonic() + PATIENCE_S
    while not (found := look()):
        if needs is not None and needs.poll() is not None:
            raise SystemExit(f"{what} ended with exit code {needs.returncode}; see its log in the folder above")
        if time.monotonic() > end_s:
            raise SystemExit(f"waited {PATIENCE_S:g} s for {what}, in vain")
        time.sleep(0.01)
    return found


def measured(output: object) -> str:
    """Format an output of the engine `measure` as a line."""
    assert isinstance(output, dict), output
    loudness = "silence" if output["loudness_dbfs"] is None else f"{output['loudness_dbfs']:.1f} dBFS"
    return f"{output['duration_s']:.2f} s long, {loudness}, {output['voice_s']:.2f} s of voice"


def say(text: str) -> None:
    """Print a heading."""
    print(f"\n== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
