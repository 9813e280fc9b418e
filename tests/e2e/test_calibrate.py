"""`voxpool-sim calibrate` with a real scheduler and real nodes, in a size of seconds; the figures do not matter."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import children_of, descendants_of, runs, wait_until
from voxpool.scheduler.config import Settings
from voxpool.scheduler.sdk import Client
from voxpool.sim.calibrate import command
from voxpool.sim.calibrate.measured import Measured, burst, measure_run, run_finely
from voxpool.sim.calibrate.node import pack, wait
from voxpool.sim.calibrate.plan import PAIR, Run, Size, plan
from voxpool.sim.calibrate.service import ServiceFailed, parse_metrics, running
from voxpool.sim.report.report import Outcome
from voxpool.sim.scenario.scenario import load_scenario
from voxpool.sim.world.clients import Request
from voxpool.sim.world.traffic import Stream

SMALL = Size(rounds=1, loads=(0.5, 0.7), run_s=2.5, probe_s=1.5, burst=100, retention_s=0.5, cleanup_interval_s=0.2)
SETTINGS = plan(SMALL, 1)[0][0].scenario.settings


def test_calibrate_measures_compares_and_leaves_nothing_running(tmp_path: Path) -> None:
    before = set(children_of(os.getpid()))
    reported: list[float] = []
    report, costs = command.calibrate(SMALL, seed=1, store="embedded", tell=reported.append)
    written = command.write(report, costs, tmp_path / "report.json", tmp_path / "out")

    assert set(children_of(os.getpid())) <= before
    assert reported == sorted(reported) and 0.8 < reported[-1] <= 1.0
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["verdict"] in [outcome.value for outcome in Outcome]
    (lost,) = [check for check in content["checks"] if check["name"] == "jobs without a result"]
    assert lost["ok"]
    for side in ("measured", "predicted"):
        for point in content["variants"][side]["points"]:
            assert point["wait, mean"] > 0 and point["sojourn, mean"] > point["wait, mean"]
            assert point["resident jobs, mean"] > 0
    asked = sum(len(list(_schedule(run))) for run in plan(SMALL, 1)[0] if not run.is_probe)
    assert f"{asked} jobs were sent" in content["notes"][0]
    assert 0 < costs.turnaround_ms < 1000 and costs.loop_ms > 0 and costs.script_ms > 0
    (written_costs,) = [path for path in written if path.name == "costs.toml"]
    scenario = tmp_path / "any.toml"
    scenario.write_text('name = "any"\nduration_s = 10\n')
    assert load_scenario(scenario, written_costs).store.delay_ms == pytest.approx(costs.script_ms / 2, abs=1e-4)


def _schedule(run: Run) -> Iterator[tuple[float, Request]]:
    (traffic,) = run.scenario.traffic
    return Stream(traffic, "t0", run.scenario.seed, run.scenario.duration_s).schedule()


def test_a_crash_of_the_scheduler_is_reported() -> None:
    others = set(children_of(os.getpid()))

    async def main() -> Measured:
        async with running(SETTINGS, "memory", 1, 2, PAIR) as service, Client(service.url) as client:
            await burst(service, client, "warm", 10)
            run = plan(SMALL, 1)[0][1]

            def kill(_: float) -> None:
                for pid in set(children_of(os.getpid())) - others:
                    if "serve" in Path(f"/proc/{pid}/cmdline").read_text():
                        os.kill(pid, signal.SIGKILL)

            return await measure_run(service, client, run, kill)

    with pytest.raises(ServiceFailed, match="ended during the run"):
        run_finely(main())


def test_sigterm_ends_it_with_all_its_processes() -> None:
    command_line = [sys.executable, "-m", "voxpool.sim", "calibrate", "--quick", "--nodes", "1"]
    process = subprocess.Popen(command_line, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        assert line == "calibrate: a scheduler and 1 nodes run; 30 s of load follow\n", "no terminal, no silence"
        started = wait_until(lambda: _nodes_of(process.pid) and descendants_of(process.pid))
        process.terminate()
        assert process.wait(30) == 130
        wait_until(lambda: not any(runs(pid) for pid in started))
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def _nodes_of(pid: int) -> list[int]:
    return [
        child
        for child in children_of(pid)
        if "voxpool.sim.calibrate.node" in Path(f"/proc/{child}/cmdline").read_text()
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--store", "fakeredis"], "voxpool-sim: store 'fakeredis' is not supported: use embedded"),
        (["--store", "redis://127.0.0.1:1/0"], "voxpool-sim: calibrate: the scheduler does not start: "),
        (["--nodes", "0"], "voxpool-sim calibrate: Invalid value for '--nodes'"),
        (["--loads", "0.5,1.5"], "voxpool-sim: --loads '0.5,1.5': must be 1 to 9 numbers between 0 and 1, such as"),
        (["--loads", "half"], "voxpool-sim: --loads 'half': must be 1 to 9 numbers"),
        (["--work-s", "0"], "voxpool-sim calibrate: Invalid value for '--work-s'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_input_is_one_line_and_exit_3(words: list[str], message: str) -> None:
    command_line = [sys.executable, "-m", "voxpool.sim", "calibrate", "--quick", *words]
    done = subprocess.run(command_line, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(message) and done.stderr.count("\n") == 1


def test_metrics_are_parsed() -> None:
    text = '# HELP voxpool_x y\nvoxpool_x 3.0\nvoxpool_jobs_resident{state="completed"} 1e+02\nother 7\n'
    assert parse_metrics(text) == {"x": 3.0, 'jobs_resident{state="completed"}': 100.0, "other": 7.0}


def test_the_work_is_encoded_in_the_audio() -> None:
    from voxpool.scheduler.protocol.codec import check_audio
    from voxpool.scheduler.sdk import Work

    audio = pack(0.02, 500)
    check_audio(audio, Settings().audio_bytes_max)
    assert len(audio) == 500
    times = wait(Work("j", 1, PAIR, audio))
    assert times["ended_s"] - times["started_s"] >= 0.02
    check_audio(pack(0.0, 0), Settings().audio_bytes_max)
