"""Complete runs of `locust -f loadtest/`: alone, as master and workers, ended by signals, with a crashed scheduler."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.processes import Scheduler, wait_until
from tests.load.locust_run import LocustRun, free_port
from voxpool.loadtest.memory._report_append import MARK
from voxpool.loadtest.report._records import LoadReport


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[Scheduler]:
    """A scheduler of its own, without nodes."""
    running = Scheduler(tmp_path, "embedded")
    yield running
    running.stop()


def users_are_there(run: LocustRun, users: int) -> None:
    """Wait until all users have been spawned; on a slow machine the master waits a long time for its workers."""
    run.waits_for(f"({users} total users)", "Spawning is complete and report waittime is expired")


def test_the_command_of_the_readme_passes_with_a_report(scheduler: Scheduler, tmp_path: Path) -> None:
    """200 clients and 20 nodes, in fewer seconds: all results come, none twice, none wrong, as the report states."""
    with LocustRun(
        tmp_path, "--headless", "-u", "200", "-r", "50", "-t", "6s", "--host", scheduler.url, pictures=True
    ) as run:  # fmt: skip
        assert run.end(120) == 0, run.text
        report = run.report()
        assert (report.verdict, report.exit_code, report.ended_by) == ("holds", 0, "time"), run.text
        assert report.host == scheduler.url
        assert report.options["run_time"] == 6 and "Run time limit" not in run.text, "Locust would say so at the end"
        assert report.jobs is not None and report.arrivals is not None and report.pools is not None
        # 200 users at 0.5 jobs/s; Poisson, so five deviations of the count are allowed
        expected = 200 * 0.5 * 6
        assert abs(report.arrivals.intended - expected) < 5 * expected**0.5 + 200 * 0.5 * 4, "users come over 4 s"
        assert report.arrivals.sent + report.arrivals.dropped == report.arrivals.intended
        assert report.jobs.completed == report.jobs.submitted == report.arrivals.sent
        assert (report.jobs.lost, report.jobs.twice, report.jobs.wrong) == (0, 0, 0)
        assert {operation.type for operation in report.operations} == {"HTTP", "WS", "NODE"}
        assert report.errors == []
        assert sum(group.nodes for group in report.pools.groups) == 20
        assert (run.folder / "report.html").read_text().count("data:image/svg+xml;base64,") >= 5
        assert run.left() == []


def test_a_master_and_two_workers_measure_as_one(scheduler: Scheduler, tmp_path: Path) -> None:
    """The master's report has every job that the workers counted."""
    port = free_port()
    load = ("--headless", "-u", "20", "-r", "20", "-t", "4s", "--rate-per-user", "2", "--host", scheduler.url)
    to_master = ("--worker", "--master-host", "127.0.0.1", "--master-port", port)
    page = tmp_path / "locust.html"
    be_master = ("--master", "--expect-workers", "2", "--master-bind-port", port, "--html", str(page))
    with (
        LocustRun(tmp_path, *load, *be_master, name="master") as master,
        LocustRun(tmp_path, *to_master, name="worker-1") as first,
        LocustRun(tmp_path, *to_master, name="worker-2") as second,
    ):  # fmt: skip
        assert master.end() == 0, master.text
        assert (first.end(), second.end()) == (0, 0), first.text + second.text
        report = master.report()
        assert report.jobs is not None and report.arrivals is not None and report.pools is not None
        assert report.verdict == "holds"
        assert report.jobs.completed == report.jobs.submitted == report.arrivals.sent > 0
        assert {process.name == "master" for process in report.generator.processes} == {True, False}
        assert len(report.generator.processes) == 3
        assert report.memory is not None and report.memory.last is not None
        assert page.read_text().count(MARK) == 1, "the charts of memory are in Locust's own report, too"
        assert sum(group.nodes for group in report.pools.groups) == 20
        ended = sum(scheduler_count(scheduler, "completed").values())
        assert ended == report.jobs.completed, "the scheduler counts the same"


def scheduler_count(scheduler: Scheduler, state: str) -> dict[str, int]:
    """Return how many jobs of each pair ended, by state, as counted by the scheduler."""
    counts = {}
    for line in httpx.get(scheduler.url + "/metrics", trust_env=False).text.splitlines():
        if line.startswith("voxpool_jobs_ended_total{") and f'state="{state}"' in line:
            labels, _, value = line.rpartition(" ")
            counts[labels] = int(float(value))
    return counts


@pytest.mark.parametrize(("number", "more"), [(signal.SIGINT, ()), (signal.SIGTERM, ("--processes", "2"))])
def test_a_signal_ends_a_run_with_its_report_and_no_orphan(
    number: signal.Signals, more: tuple[str, ...], tmp_path: Path
) -> None:
    """Open jobs may end, the report is written, and the scheduler and workers that it started have ended."""
    load = ("--headless", "-u", "10", "-r", "50", "-t", "10m", "--with-scheduler", "--store", "memory")
    with LocustRun(tmp_path, *load, *more) as run:
        run.waits_for("WS       result", "HTTP     result")  # in Locust's table, which is empty before
        wait_until(lambda: descendants(run) >= 1 + 2 * bool(more))
        run.signal(number)
        assert run.end() == 0, run.text
        report = run.report()
        assert (report.verdict, report.ended_by) == ("holds", number.name), run.text
        assert report.jobs is not None and report.jobs.completed == report.jobs.submitted
        assert report.duration_s < 60
        wait_until(lambda: run.left() == [])


def descendants(run: LocustRun) -> int:
    """Return how many processes it has started so far."""
    run.waits_for("")
    return len(run.seen) - 1


def test_a_second_signal_ends_a_run_at_once(tmp_path: Path) -> None:
    """It does not wait for jobs of minutes, and no process stays."""
    load = ("--headless", "-u", "5", "-r", "50", "-t", "10m", "--with-scheduler", "--store", "memory")
    slow = ("--work-ms", "600000", "--drain-s", "600", "--rate-per-user", "5")
    with LocustRun(tmp_path, *load, *slow) as run:
        run.waits_for("WS       submit", "HTTP     submit")  # in Locust's table: a job is open
        run.signal(signal.SIGTERM)
        run.signal(signal.SIGTERM)  # as timeout(1) does
        run.waits_for("The test ends: SIGTERM")
        wait_until(lambda: run.popen.poll() is not None or signals_again(run), 30)
        assert run.end() == 128 + signal.SIGTERM, run.text
        wait_until(lambda: run.left() == [])


def signals_again(run: LocustRun) -> bool:
    """Send SIGTERM again; right after the first one it logs nothing new."""
    run.signal(signal.SIGTERM)
    return False


def test_workers_end_when_their_master_was_killed(tmp_path: Path) -> None:
    """After kill -9 of the master, forked workers and the scheduler that it started end by themselves."""
    load = ("--headless", "-u", "5", "-r", "50", "-t", "10m", "--with-scheduler", "--store", "memory")
    with LocustRun(tmp_path, *load, "--processes", "2", "--nodes", "2", "--drain-s", "0") as run:
        users_are_there(run, 7)
        run.signal(signal.SIGKILL)
        run.end()
        wait_until(lambda: run.left() == [], 30)


def test_a_crash_of_the_scheduler_ends_the_run_with_its_measurements(tmp_path: Path) -> None:
    """The line has the time of the crash, the exit code is 1, and the report has the jobs until then."""
    scheduler = Scheduler(tmp_path, "memory")
    with LocustRun(
        tmp_path, "--headless", "-u", "10", "-r", "50", "-t", "10m", "--host", scheduler.url, "--gone-s", "2"
    ) as run:  # fmt: skip
        users_are_there(run, 30)
        wait_until(lambda: sum(scheduler_count(scheduler, "completed").values()) > 5)
        scheduler.popen.kill()
        assert run.end() == 1, run.text
        report = run.report()
        assert (report.verdict, report.exit_code) == ("broken", 1)
        assert report.why.startswith("the scheduler went away after ") and "nothing listens there" in report.why
        assert report.ended_by == report.why
        assert report.jobs is not None and report.jobs.completed > 5
    scheduler.popen.wait()


def test_each_test_of_a_page_has_its_own_report(scheduler: Scheduler, tmp_path: Path) -> None:
    """One ends by its time, one is refused, one is ended by SIGTERM: none has figures of the one before."""
    port = free_port()
    page = ("--web-host", "127.0.0.1", "--web-port", port, "--nodes", "2", "--host", scheduler.url)
    with LocustRun(tmp_path, *page) as run:

        def start(reports: int, **form: str) -> LoadReport | None:
            run.waits_for("Starting web interface")
            common = {"user_count": "4", "spawn_rate": "50", "rate_per_user": "5", "host": scheduler.url}
            wait_until(lambda: posted(f"http://127.0.0.1:{port}/swarm", common | form))
            if not reports:
                return None
            wait_until(lambda: run.text.count("Report: ") == reports, 30)
            return run.report()

        first = start(1, run_time="2s")
        assert first is not None and first.jobs is not None and first.jobs.completed > 0
        assert (first.verdict, first.ended_by) == ("holds", "time")
        second = start(2, slots="0")
        assert second is not None and (second.exit_code, second.operations) == (3, [])
        assert second.why == "--slots 0: must be at least 1"
        start(0, slots="2", run_time="5m")
        completed = first.jobs.completed
        wait_until(lambda: sum(scheduler_count(scheduler, "completed").values()) > completed)
        run.signal(signal.SIGTERM)
        assert run.end() == 0, run.text
        third = run.report()
        assert third.ended_by == "SIGTERM" and third.jobs is not None
        assert third.jobs.completed == third.jobs.submitted


def posted(url: str, form: dict[str, str]) -> bool:
    """Return whether the page accepted the form."""
    try:
        return bool(httpx.post(url, data=form, trust_env=False).json()["success"])
    except httpx.TransportError:
        return False


def test_chaos_loses_nothing(tmp_path: Path) -> None:
    """Nodes are killed with kill -9 and Redis is restarted empty, under load: each job still has one right result."""
    chaos = ("--shape", "chaos", "--store", "redis", "--kill-every-s", "1", "--redis-restart-every-s", "3")
    load = (
        "--headless",
        "-u",
        "10",
        "-r",
        "50",
        "-t",
        "8s",
        "--nodes",
        "5",
        "--with-scheduler",
    )
    with LocustRun(tmp_path, *load, *chaos, "--expect", "failures<=10%;other.failures<=10%") as run:
        users_are_there(run, 15)
        assert run.end() == 0, run.text
        report = run.report()
        assert report.jobs is not None and report.jobs.completed > 0
        assert (report.jobs.lost, report.jobs.twice, report.jobs.wrong) == (0, 0, 0), run.text
        note = next(note for note in report.notes if note.startswith("chaos: "))
        kills, restarts = map(int, re.findall(r"\d+", note))
        assert kills and restarts, note
        wait_until(lambda: run.left() == [])
