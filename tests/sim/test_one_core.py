"""The simulation and `voxpool serve` build the same scheduler: classes that only one of them builds are at its ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.sim.test_cli import SMALL

PATIENCE_S = 30.0
WAV = Path(__file__).parents[2] / "examples" / "tone.wav"

ONLY_SIMULATION = {
    "core.jobs.job.Share",  # of a stream of jobs; the service reads one of a submit in the order `fair` only
    "stores.memory.MemoryStore",  # seam: the store
}
ONLY_SERVICE = {
    "core.clock.SystemClock",  # seam: the clock
    "service.ending.Deadline",  # a simulation ends when nothing is left to do
    "protocol.answers.JobView",  # the records of HTTP
    "protocol.field_types.Times",  # a part of results that are sent
    "stores.embedded.EmbeddedStore",  # seam: the store
    "stores.guard.GuardedServer",
    "stores.redis.RedisStore",
    "stores.flush.Flush",
    "stores.script_connection.ScriptConnection",
    "stores.script_connection._Answers",
    "service.stores.Opened",  # which store the setting jobs opens
    "core.seams.Observer",  # the base that the fan-out of observers compares with
    "core.why.Why",  # the simulation uses a subclass, which keeps what it receives
}
"""Packages of classes that only the service builds: endpoints, exporters and the command line."""
EXPORTERS = {
    "telemetry.metrics.exporter.Exporter",
    "telemetry.metrics.exporter.Meters",
    "telemetry.metrics.figures.FiguresCollector",
    "telemetry.metrics.labels.PairLabels",
    "telemetry.metrics.loop_lag.LoopLag",
    "telemetry.metrics.observer.MetricsObserver",
    "telemetry.metrics.store_census.StoreCensus",
    "telemetry.metrics.timed_runner.TimedRunner",
}
"""Observers around production's core; the simulation has checkers instead."""
DOORS_EXPORTERS_CLI = ("web.", "security.", "telemetry.", "service.serve.", "service.machine.", "cli.")


def test_the_simulation_and_the_service_build_the_same_core(tmp_path: Path) -> None:
    simulated = built_by_the_simulation(tmp_path)
    served = built_by_the_service(tmp_path)
    assert simulated - served == ONLY_SIMULATION
    assert {name for name in served - simulated if not name.startswith(DOORS_EXPORTERS_CLI)} == ONLY_SERVICE
    both = simulated & served
    assert not {name for name in both if name.startswith(DOORS_EXPORTERS_CLI)}
    assert served >= EXPORTERS
    assert both > {
        "core.composition.Core",
        "core.dispatcher.Dispatcher",
        "core.nodes.node_events.NodeEvents",
        "core.nodes.node_registry.NodeRegistry",
        "core.script_queue.ScriptQueue",
    }
    assert both > {
        "core.jobs.job_table.JobTable",
        "core.jobs.waiting.WaitingJobs",
        "core.retention.Retention",
        "core.timeouts.Timeouts",
    }
    assert both > {
        "core.script_queue.Outages",
        "core.leases.Leases",
        "core.jobs.affinity.Affinity",
        "core.clock.Deadlines",
        "core.jobs.job.Job",
        "core.nodes.node.Node",
    }


def built_by_the_simulation(folder: Path) -> set[str]:
    """Play a small scenario."""
    scenario, built = folder / "small.toml", folder / "simulated.txt"
    scenario.write_text(SMALL)
    words = ["-m", "tests.sim.built_classes", str(built), "voxpool.sim", "run", str(scenario)]
    subprocess.run([sys.executable, *words], check=True, capture_output=True, timeout=PATIENCE_S)
    return set(built.read_text().split())


def built_by_the_service(folder: Path) -> set[str]:
    """Start the service with its defaults, let a node do a job, and stop it."""
    log, built = folder / "serve.log", folder / "served.txt"
    clean = {key: value for key, value in os.environ.items() if not key.startswith("VOXPOOL_")}
    words = ["-m", "tests.sim.built_classes", str(built), "voxpool.scheduler", "serve", "--port", "0"]
    with log.open("wb") as file:
        serve = subprocess.Popen([sys.executable, *words], stdout=file, stderr=file, env=clean)
    node = None
    try:
        url = wait_for_url(log)
        words = ["-m", "voxpool.scheduler", "node", "--url", url, "--id", "ann", "--pairs", "en:en"]
        node = subprocess.Popen(
            [sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean
        )
        with httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_S) as client:
            parameters = {"pair": "en:en", "wait_s": "20"}
            headers = {"Content-Type": "audio/wav", "Idempotency-Key": "one"}
            answer = client.post("/v1/jobs", params=parameters, headers=headers, content=WAV.read_bytes())
        assert answer.json()["state"] == "completed", answer.text
    finally:
        for process in (node, serve):
            if process is not None:
                process.send_signal(signal.SIGTERM)
                process.wait(PATIENCE_S)
    return set(built.read_text().split())


def wait_for_url(log: Path) -> str:
    """Wait until the log has the service's URL."""
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        for line in log.read_text().rpartition("\n")[0].splitlines():
            if line.startswith("{") and (event := json.loads(line))["event"] == "scheduler_started":
                url: str = event["url"]
                return url
    raise AssertionError(log.read_text())
