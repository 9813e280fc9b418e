"""Edge cases of metrics: invented pairs, the age of figures, and a process without standard streams."""

from __future__ import annotations

import shlex
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx

from tests.e2e.command_line import COMMAND, WITHIN_S, clean_environment
from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, until, wait_until
from tests.unit.metrics_rig import Samples, parsed
from voxpool.scheduler.sdk import Worker

INVENTED = 120
"""More pairs than have labels."""


def scrape(url: str) -> Samples:
    return parsed(httpx.get(f"{url}/metrics", trust_env=False).text)


def labels(found: Samples) -> set[str]:
    """Return the values of all pair labels."""
    return {value for _, names in found for name, value in names if name == "pair"}


async def test_invented_pairs_take_no_label_from_a_served_pair(folder: Path) -> None:
    """They share one label; their jobs are still counted."""
    scheduler = Scheduler(folder, "memory", "--waiting-timeout-s", "60")
    try:
        async with httpx.AsyncClient(base_url=scheduler.url, trust_env=False) as http:
            for number in range(INVENTED):
                await http.post("/v1/jobs", params={"pair": f"x{number}:en"}, content=TONE)
            assert labels(scrape(scheduler.url)) <= {"other"}
            worker = Worker(scheduler.url, node_id="real", pairs=["zh:en"], work=lambda work: 1)
            async with running(worker):
                await until(lambda: worker.node_id in scheduler.node_ids())
                job = (await http.post("/v1/jobs", params={"pair": "zh:en", "wait_s": 10}, content=TONE)).json()
                assert job["state"] == "completed"
                found = scrape(scheduler.url)
            assert found[("voxpool_pool_nodes", (("pair", "zh:en"),))] == 1
            assert found[("voxpool_jobs_submitted_total", (("pair", "zh:en"),))] == 1
            assert labels(found) == {"other", "zh:en"}
            assert "zh:en" in labels(scrape(scheduler.url)), "served lately"
    finally:
        assert scheduler.stop() == 0


def test_the_age_of_the_store_s_figures_is_exposed(scheduler: Scheduler) -> None:
    """They are counted at intervals; each family has its time, so that an old figure is not taken for a new one."""
    found = wait_until(lambda: _keys(scheduler.url))
    counted = {dict(names)["family"]: at_s for (name, names), at_s in found.items() if name.endswith("_seconds")}
    families = {dict(names)["family"] for name, names in found if name == "voxpool_store_keys"}
    assert families and families == set(counted)
    assert all(time.time() - 30 <= at_s <= time.time() for at_s in counted.values()), counted


def _keys(url: str) -> Samples:
    return {key: value for key, value in scrape(url).items() if key[0].startswith("voxpool_store_keys")}


def test_a_scheduler_without_standard_streams_works() -> None:
    """A supervisor may start it so: `<&- >&- 2>&-`. No connection gets the descriptor that errors are written to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [*COMMAND, "serve", "--port", str(port), "--store", "memory", "--drain-s", "0"]
    started = subprocess.Popen(["sh", "-c", f"exec {shlex.join(words)} <&- >&- 2>&-"], env=clean_environment())
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: started.poll() is not None or _answers(url))
        assert started.poll() is None, started.returncode
        for number in range(3):
            assert (Path("/proc") / str(started.pid) / "fd" / str(number)).readlink() == Path("/dev/null")
        started.send_signal(signal.SIGTERM)
        assert started.wait(WITHIN_S) == 0
    finally:
        started.kill()
        started.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_a_command_without_standard_error_still_has_its_exit_code() -> None:
    for words, code in (((*COMMAND, "nodes", "--url", "http://127.0.0.1:1"), 1), ((*COMMAND, "jobs", "--nonsense"), 3)):
        done = subprocess.run(["sh", "-c", f"exec {shlex.join(words)} 2>&-"], env=clean_environment(), timeout=WITHIN_S)
        assert done.returncode == code
