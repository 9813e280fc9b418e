"""The stages of a load run: none is skipped, and no process quits or passes before its verdict is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent.event import Event

from tests.load.test_load_run import Noted, Rig
from voxpool.loadtest.running import _ending
from voxpool.loadtest.running._ending import Ending
from voxpool.loadtest.running._load_run import EXIT_NO_EVIDENCE
from voxpool.loadtest.running._stages import FOLLOWING, IllegalStage, Progress, Stage
from voxpool.loadtest.running._team import REFUSED
from voxpool.loadtest.users._state import STATE
from voxpool.scheduler.errors import ConfigError

PATIENCE_S = 10.0


@pytest.fixture(autouse=True)
def fresh_state() -> Iterator[None]:
    """Restore the state that all users of a process share."""
    STATE.start()
    yield
    STATE.start()


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("following", Stage)
def test_the_order_of_stages_is_that_of_the_table(stage: Stage, following: Stage) -> None:
    progress = Progress()
    progress.stage = stage
    if following in FOLLOWING[stage]:
        progress.enter(following)
        assert progress.stage is following
    else:
        with pytest.raises(IllegalStage, match=f"from {stage.value} to {following.value}"):
            progress.enter(following)
        assert progress.stage is stage


def stage_of(rig: Rig) -> Stage:
    """Return the current stage; it is a call because greenlets change the stage between two statements."""
    return rig.run.stage


class Slow(Noted):
    """A part whose start or stop blocks until it is released; `is_waiting` is set while it blocks."""

    def __init__(self, notes: list[str], at: str = "stop") -> None:
        super().__init__(notes, "slow")
        self.at = at
        self.is_waiting, self.may_go_on = Event(), Event()

    def _do(self, what: str) -> None:
        super()._do(what)
        if what == self.at:
            self.is_waiting.set()
            assert self.may_go_on.wait(PATIENCE_S)


class SlowRig(Rig):
    """A run with one slow part, or with a slow conclusion (`at` is conclude); `notes` has the calls of the others."""

    def __init__(self, at: str, role: Any = "local", workers: tuple[str, ...] = ()) -> None:
        noted: list[str] = []
        self.slow = Slow(noted, at)
        self.others = [Noted(noted, "first"), Noted(noted, "last")]
        super().__init__(role, self.others[0], self.slow, self.others[1], workers=workers)
        self.notes = noted
        self.context.environment.parsed_options.processes = None
        self.ending = Ending(self.context, self.run)
        self.verdict = 0

    def conclude(self, refused: str, code: int) -> int:
        if self.slow.at == "conclude":
            self.slow.is_waiting.set()
            assert self.slow.may_go_on.wait(PATIENCE_S)
        return super().conclude(refused, code) or self.verdict

    def has_quit(self) -> bool:
        return ("quit", None) in self.runner.sent


def by_time(rig: SlowRig) -> None:
    rig.runner.user_count = rig.prepared.standing
    rig.run._clients_since = -1e9
    rig.run.tick()


def by_part(rig: SlowRig) -> None:
    """End the test from a greenlet of the part, like --until-clear, a chaos that fails, or a lost scheduler."""
    rig.run.request_end("the verdict on memory is clear")


def by_signal(rig: SlowRig) -> None:
    rig.ending.interrupt("SIGTERM")


def by_page(rig: SlowRig) -> None:
    rig.runner.stop()


def by_refusal(rig: SlowRig) -> None:
    rig.run._refused("a worker: open files: too few")


def by_locust(rig: SlowRig) -> None:
    rig.run.on_quitting()


def by_failing_stop(rig: SlowRig) -> None:
    rig.others[1]._fails = "stop"
    rig.run.end("")


WAYS = [by_time, by_part, by_signal, by_page, by_refusal, by_locust, by_failing_stop]


@pytest.mark.parametrize("at", ["stop", "conclude"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_the_process_waits_for_its_verdict_at_every_end(way: Callable[[SlowRig], None], at: str) -> None:
    """While a part stops slowly, or the report is being written, the exit code is 2 and Locust does not quit."""
    rig = SlowRig(at)
    rig.run.tick()
    rig.run.on_test_start()
    assert rig.exit_code == EXIT_NO_EVIDENCE, "from the moment a test starts"
    ending = gevent.spawn(way, rig)
    assert rig.slow.is_waiting.wait(PATIENCE_S)
    quits = [gevent.spawn(rig.runner.quit), gevent.spawn(rig.run.on_quitting), gevent.spawn(rig.runner.quit)]
    gevent.joinall(quits, 0.2)
    assert not any(one.ready() for one in quits) and not rig.has_quit()
    assert rig.exit_code == EXIT_NO_EVIDENCE and "report" not in rig.notes
    rig.slow.may_go_on.set()
    gevent.joinall([ending, *quits], PATIENCE_S, raise_error=True)
    assert rig.has_quit() and stage_of(rig) is Stage.DONE
    assert rig.notes[-1] == "report" and rig.notes.count("report") == 1
    assert rig.notes.count("stop first") == rig.notes.count("stop last") == rig.notes.count("stop slow") == 1
    assert rig.exit_code == (3 if way is by_refusal else 0)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_greenlet_that_ends_a_test_may_be_killed(way: Callable[[SlowRig], None]) -> None:
    """Locust kills the shape when it stops, and the verdict is written all the same."""
    rig = SlowRig("stop")
    rig.run.tick()
    rig.run.on_test_start()
    ending = gevent.spawn(way, rig)
    assert rig.slow.is_waiting.wait(PATIENCE_S)
    ending.kill()
    rig.slow.may_go_on.set()
    gevent.spawn(rig.runner.quit).join(PATIENCE_S)
    assert rig.has_quit() and rig.notes[-1] == "report"


@pytest.mark.parametrize("role", ["local", "master"])
def test_an_end_during_the_start_takes_effect_before_the_first_user(role: Any) -> None:
    """The started parts are stopped, and the greenlet of Locust that would spawn users ends."""
    rig = SlowRig("start", role, ("w1",) if role == "master" else ())
    rig.runner.says_stop = role == "local"
    rig.run.tick()
    spawned: list[str] = []

    def start() -> None:
        rig.run.on_test_start()
        spawned.append("users")

    starting = gevent.spawn(start)
    assert rig.slow.is_waiting.wait(PATIENCE_S)
    held = rig.run.tick()
    rig.runner.user_count = rig.prepared.standing
    assert rig.run.tick() == held, "another answer would make Locust start the parts again"
    signal = gevent.spawn(rig.ending.interrupt, "SIGTERM")
    gevent.sleep(0)
    assert stage_of(rig) is Stage.STARTING and rig.exit_code == EXIT_NO_EVIDENCE
    rig.slow.may_go_on.set()
    gevent.joinall([starting, signal], PATIENCE_S, raise_error=True)
    assert spawned == [] and rig.has_quit()
    assert rig.notes[:3] == ["start first", "start slow", "start last"]
    assert rig.notes[-4:] == ["stop last", "stop slow", "stop first", "report"]
    assert rig.context.ended_by == "SIGTERM"


def test_a_start_that_is_killed_leaves_no_part_running() -> None:
    rig = SlowRig("start")
    rig.run.tick()
    starting = gevent.spawn(rig.run.on_test_start)
    assert rig.slow.is_waiting.wait(PATIENCE_S)
    starting.kill()
    rig.run.end("SIGTERM")
    assert rig.notes[-3:] == ["stop slow", "stop first", "report"]


class Exited(Exception):
    """Stands for the end of the process, with this code."""


@pytest.fixture
def no_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    """An immediate exit of the process ends the greenlet instead."""

    def leave(self: Ending, code: int) -> None:
        raise Exited(code)

    monkeypatch.setattr(_ending.Ending, "at_once", leave)


@pytest.mark.usefixtures("no_exit")
def test_a_signal_before_the_test_has_a_report_and_no_user() -> None:
    rig = SlowRig("stop")
    with pytest.raises(Exited, match="2"):
        rig.ending.interrupt("SIGTERM")
    assert rig.refused == ["ended by SIGTERM before the test began: there is no evidence"]
    assert stage_of(rig) is Stage.DONE and rig.exit_code == EXIT_NO_EVIDENCE
    assert rig.run.tick() is None
    with pytest.raises(gevent.GreenletExit):
        rig.run.on_test_start()
    rig.why_not = "nothing listens there"
    rig.run.refuse(rig.why_not)
    assert len(rig.refused) == 1, "what the preparation finds afterwards says no more"


def test_a_timeout_of_locust_for_its_workers_is_no_evidence() -> None:
    rig = SlowRig("stop", "master")
    with pytest.raises(SystemExit) as left:
        rig.runner.quit()
    assert left.value.code == EXIT_NO_EVIDENCE and rig.has_quit() and rig.notes == ["report"]


def test_a_process_without_a_test_ends_with_2() -> None:
    assert SlowRig("stop").exit_code == EXIT_NO_EVIDENCE


def test_a_worker_ends_with_0_and_its_parts_have_stopped() -> None:
    """The verdict is up to its master."""
    rig = SlowRig("stop", "worker")
    assert rig.exit_code == 0
    rig.run.on_test_start()
    signal = gevent.spawn(rig.ending.interrupt, "SIGTERM")
    assert rig.slow.is_waiting.wait(PATIENCE_S)
    assert not rig.has_quit()
    rig.slow.may_go_on.set()
    signal.join(PATIENCE_S)
    assert rig.has_quit() and rig.notes[-1] == "stop first" and rig.exit_code == 0


def test_a_verdict_that_cannot_be_written_is_2(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig()

    def conclude(refused: str, code: int) -> int:
        raise ZeroDivisionError("a bug of ours")

    rig.run._conclude = conclude
    rig.run.tick()
    rig.run.on_test_start()
    rig.run.end("")
    assert rig.exit_code == EXIT_NO_EVIDENCE and stage_of(rig) is Stage.DONE
    assert "There is no verdict (exit code 2)" in caplog.text and "ZeroDivisionError" in caplog.text


def test_users_that_locust_cannot_stop_do_not_delay_the_verdict(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    rig.run.tick()
    rig.run.on_test_start()

    def stop() -> None:
        raise OSError("the connection is gone")

    rig.runner.stop = stop  # type: ignore[method-assign]
    rig.run.end("SIGTERM")
    assert rig.notes[-1] == "report" and "Locust does not stop the users" in caplog.text


def test_a_second_test_of_a_page_begins_without_a_verdict() -> None:
    rig = Rig()
    for _ in range(2):
        rig.run.shape_starts()
        rig.run.tick()
        rig.run.on_test_start()
        assert rig.exit_code == EXIT_NO_EVIDENCE
        rig.run.end("")
        assert rig.exit_code == 0
    assert rig.notes.count("report") == 2


def test_a_master_receives_a_refusal_of_a_worker_during_its_start() -> None:
    rig = SlowRig("start", "master", ("w1",))
    rig.run.tick()
    starting = gevent.spawn(rig.run.on_test_start)
    assert rig.slow.is_waiting.wait(PATIENCE_S)
    rig.runner.listeners[REFUSED](environment=None, msg=SimpleNamespace(node_id="w1", data="open files"))
    rig.slow.may_go_on.set()
    gevent.joinall([starting, gevent.spawn(rig.run.end, "")], PATIENCE_S, raise_error=True)
    assert rig.refused == ["a worker: open files"] and rig.exit_code == 3


def test_a_part_that_cannot_start_ends_the_test_before_the_first_user() -> None:
    notes: list[str] = []
    rig = Rig("local", Noted(notes, "a"), Noted(notes, "b", fails="start", error=ConfigError("no room")))
    rig.run.tick()
    with pytest.raises(gevent.GreenletExit):
        rig.run.on_test_start()
    rig.run.end("")
    assert notes == ["start a", "start b", "stop a"] and rig.refused == ["no room"] and rig.exit_code == 3
