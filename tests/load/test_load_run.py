"""The sequence of a load run in one process, without Locust: parts, messages between master and workers, its end."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from voxpool.loadtest.options._options import LoadOptions
from voxpool.loadtest.running import _load_run, _team
from voxpool.loadtest.running._load_run import LoadRun
from voxpool.loadtest.running._part import Context, Role
from voxpool.loadtest.running._preflight import CannotLoad
from voxpool.loadtest.running._preparing import Prepared
from voxpool.loadtest.running._shapes import Shape, Stage
from voxpool.loadtest.running._team import CLOSE, CLOSED, FINAL, REFUSED
from voxpool.loadtest.users._state import STATE
from voxpool.scheduler.errors import ConfigError


@pytest.fixture(autouse=True)
def fresh_state() -> Iterator[None]:
    """Restore the state that all users of a process share."""
    STATE.start()
    yield
    STATE.start()


class Runner:
    """The part of Locust's runner that a run uses: it stops users and fires the event, and has workers."""

    def __init__(self, workers: tuple[str, ...] = ()) -> None:
        self.user_count = 0
        self.clients = {name: SimpleNamespace(id=name, state="running") for name in workers}
        self.sent: list[tuple[str, Any]] = []
        self.listeners: dict[str, Callable[..., None]] = {}
        self.run: LoadRun | None = None
        self.says_stop = True
        self.shape_greenlet: Any = None
        self.shape_last_tick: Any = None

    @property
    def worker_count(self) -> int:
        return len(self.clients)

    def register_message(self, name: str, listener: Callable[..., None], concurrent: bool = False) -> None:
        self.listeners[name] = listener

    def send_message(self, name: str, data: Any = None) -> None:
        self.sent.append((name, data))
        if name == CLOSE:  # the workers have no open jobs, so their users stop at once
            for worker in self.clients:
                self.receive(CLOSED, worker)
                self.receive(FINAL, worker)

    def receive(self, name: str, worker: str, data: Any = None) -> None:
        self.listeners[name](environment=None, msg=SimpleNamespace(node_id=worker, data=data))

    def stop(self) -> None:
        if self.says_stop and self.run is not None:
            self.run.on_test_stopping()
            self.run.on_test_stop()

    def quit(self) -> None:
        self.sent.append(("quit", None))

    def _send_stats(self) -> None:
        self.sent.append(("stats", None))


class Noted:
    """A part that records its start and stop, or fails to start."""

    def __init__(self, notes: list[str], name: str, fails: str = "", error: Exception | None = None) -> None:
        self._notes, self._name, self._fails = notes, name, fails
        self._error = error or RuntimeError("it broke")

    def start(self) -> None:
        self._do("start")

    def stop(self) -> None:
        self._do("stop")

    def _do(self, what: str) -> None:
        self._notes.append(f"{what} {self._name}")
        if what == self._fails:
            raise self._error


class Rig:
    """A run in a role, with parts that record their calls, and a shape of a minute."""

    def __init__(self, role: Role = "local", *parts: Noted, workers: tuple[str, ...] = (), standing: int = 2) -> None:
        self.notes: list[str] = []
        self.runner = Runner(workers)
        parsed = Namespace(**msgspec.to_builtins(LoadOptions()))
        environment = SimpleNamespace(parsed_options=parsed, host="http://127.0.0.1:1", process_exit_code=None)
        self.context = Context(environment, self.runner, None, role)
        self.refused: list[str] = []
        self.prepared = Prepared(Shape((Stage(10, 60.0),), 5.0), standing)
        self.why_not = ""
        made = parts or (Noted(self.notes, "a"), Noted(self.notes, "b"))
        decides = role != "worker"
        self.run = LoadRun(self.context, made, self.prepare if decides else None, self.conclude if decides else None)
        self.runner.run = self.run

    def prepare(self) -> Prepared:
        if self.why_not:
            raise ConfigError(self.why_not)
        return self.prepared

    def conclude(self, refused: str, code: int) -> int:
        self.notes.append("report")
        self.refused.append(refused)
        return code if refused else 0

    @property
    def exit_code(self) -> int:
        """Return the current exit code of the process."""
        return int(self.context.environment.process_exit_code)


def test_parts_start_in_order_stop_in_reverse_order_and_then_the_report_is_written() -> None:
    rig = Rig()
    assert rig.run.tick() == (2, _load_run.STANDING_RATE), "nodes first, as fast as they may come"
    rig.run.on_test_start()
    rig.runner.user_count = 2
    assert rig.run.tick() == (12, 5.0), "then clients, as fast as the shape says"
    rig.run.end("")
    assert rig.notes == ["start a", "start b", "stop b", "stop a", "report"]
    assert rig.exit_code == 0
    assert not STATE.open, "nothing new was sent at the end"


def test_a_test_ends_once() -> None:
    """Its time, a signal or Locust's last event ends it, whichever comes first."""
    rig = Rig()
    rig.run.tick()
    rig.run.on_test_start()
    rig.run.end("SIGTERM")
    rig.run.end("")
    rig.run.on_test_stop()
    rig.run.on_quitting()
    assert rig.notes.count("report") == 1 and rig.context.ended_by == "SIGTERM"


def test_locust_quits_only_after_the_end() -> None:
    """Its main greenlet would quit as soon as a signal has ended the shape, and lose the workers' last messages."""
    rig = Rig("master", workers=("w1",))
    rig.run.tick()
    rig.run.on_test_start()
    rig.runner.quit()
    assert [name for name, _ in rig.runner.sent] == [CLOSE, "quit"] and rig.notes[-1] == "report"


def test_a_test_without_a_user_yet_has_a_report() -> None:
    """Locust stops nothing, and fires no event, before the first user was spawned."""
    rig = Rig()
    rig.run.tick()
    rig.run.on_test_start()
    rig.runner.says_stop = False
    rig.run.end("SIGTERM")
    assert rig.notes[-1] == "report"


def test_stop_on_the_page_is_distinguished_from_the_end_of_the_time() -> None:
    rig = Rig()
    rig.run.tick()
    rig.run.on_test_start()
    rig.runner.stop()
    assert rig.context.ended_by == "the page" and rig.notes[-1] == "report"


def test_open_jobs_have_time_to_finish_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The users stop as soon as no job is open, or when the option drain_s is over."""
    waited: list[float] = []

    def wait(holds: Callable[[], bool], patience_s: float) -> None:
        waited.append(patience_s)
        assert not holds()
        STATE.outstanding = 0
        assert holds()

    rig = Rig()
    rig.run.tick()
    rig.run.on_test_start()
    STATE.outstanding = 3
    monkeypatch.setattr(_team, "wait", wait)
    rig.run.end("")
    assert waited == [LoadOptions().drain_s]


def test_a_failed_part_does_not_stop_the_others_and_makes_the_run_unclear() -> None:
    notes: list[str] = []
    rig = Rig("local", Noted(notes, "a", fails="start"), Noted(notes, "b", fails="stop"), Noted(notes, "c"))
    rig.run.tick()
    rig.run.on_test_start()
    rig.run.end("")
    assert notes == ["start a", "start b", "start c", "stop c", "stop b"]
    assert rig.context.missing == ["Noted did not start: it broke", "Noted did not stop: it broke"]
    assert rig.refused == [""]


def test_a_test_that_cannot_start_ends_with_its_reason() -> None:
    rig = Rig()
    rig.why_not = "--host: nothing listens there"
    assert rig.run.tick() is None
    assert rig.refused == ["--host: nothing listens there"]
    assert rig.exit_code == 3


def test_a_master_without_workers_reports_it() -> None:
    rig = Rig("master")
    assert rig.run.tick() is None
    assert rig.refused == ["no worker has connected: start some with `locust -f loadtest/ --worker`"]


def test_a_master_waits_for_the_last_figures_of_its_workers() -> None:
    rig = Rig("master", workers=("w1", "w2"))
    assert rig.run.tick() == (2, 2 * _load_run.STANDING_RATE)
    rig.run.on_test_start()
    rig.run.end("")
    assert rig.runner.sent == [(CLOSE, {"drain_s": 10.0})]
    assert rig.context.missing == [] and rig.notes[-1] == "report"


def test_a_lost_worker_makes_the_run_unclear() -> None:
    """Its last figures are missing, so success cannot be proven."""
    rig = Rig("master", workers=("w1", "w2"))
    rig.run.tick()
    rig.run.on_test_start()
    del rig.runner.clients["w2"]
    rig.run.end("")
    assert rig.context.missing == ["the last figures of 1 of 2 workers"]


def test_a_worker_sends_its_figures_after_its_parts_have_stopped() -> None:
    rig = Rig("worker")
    rig.run.on_test_start()
    assert rig.context.host == "http://127.0.0.1:1"
    rig.runner.listeners[CLOSE](environment=None, msg=SimpleNamespace(data={"drain_s": 0}))
    assert not STATE.open and rig.runner.sent == [(CLOSED, None)]
    rig.runner.stop()
    assert rig.notes == ["start a", "start b", "stop b", "stop a"]
    assert rig.runner.sent[-2:] == [("stats", None), (FINAL, None)]


def test_a_worker_with_a_low_limit_of_files_makes_its_master_end_the_test() -> None:
    notes: list[str] = []
    worker = Rig("worker", Noted(notes, "a", fails="start", error=CannotLoad("open files: too few")))
    worker.run.on_test_start()
    assert worker.runner.sent == [(REFUSED, "open files: too few")]
    master = Rig("master", workers=("w1",))
    master.run.tick()
    master.run.on_test_start()
    master.runner.receive(REFUSED, "w1", "open files: too few")
    master.run.end("")
    assert master.refused == ["a worker: open files: too few"]
    assert master.exit_code == 3
