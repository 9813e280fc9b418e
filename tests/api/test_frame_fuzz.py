"""Invalid input at both WebSocket endpoints: each is served or closed, no memory stays, others are not disturbed."""

from __future__ import annotations

import contextlib
import math
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api import frames
from tests.api.bystander import FLAGS, Bystander, Ended, allocated_bytes_of, left_behind, memory_of, script_errors_of
from tests.api.frame_fuzz import DIED, DOORS, Lost, Player, fuzz, line_to_paste
from tests.api.frames import Message
from tests.api.wire import CLOSE, FIN, PATIENCE_S, Frame
from tests.e2e.processes import Scheduler
from tests.servers import BOTH, place_of

SEED = 4
SHORT_S = 0.5
"""Patience for a peer that is known not to answer; the search waits this long many times."""
GROWTH_BYTES_MAX = 500_000
"""Growth allowed in the second half: a leak of 100 bytes a frame would be that much in the large size; buffers vary."""


@contextlib.contextmanager
def running(folder: Path, bug: str = "", jobs: str = "memory") -> Iterator[Scheduler]:
    """Start a scheduler, with or without a planted bug."""
    kind = (
        type("Planted", (Scheduler,), {"program": (sys.executable, "-m", "tests.api.planted", bug)})
        if bug
        else Scheduler
    )
    with place_of(jobs, "embedded") as (store, *flags):
        scheduler = kind(folder, store, *flags, *FLAGS)
        try:
            yield scheduler
        finally:
            scheduler.stop()


def fuzzed(folder: Path, door: str, count: int, jobs: str = "memory") -> Player:
    """Send `count` frames and compare the scheduler before and after."""
    with running(folder, jobs=jobs) as scheduler:
        with Bystander(scheduler) as bystander:
            before = memory_of(scheduler)
            with Player(DOORS[door], scheduler.url, bystander.job_id) as player:
                fuzz(player, count // 2, SEED)
                assert left_behind(scheduler, before) == {}
                allocated_bytes = allocated_bytes_of(scheduler)
                fuzz(player, count, SEED + 1000)
            print(player.summary())
            assert left_behind(scheduler, before) == {}
            growth = allocated_bytes_of(scheduler) - allocated_bytes
            print(f"allocated bytes of the second half: {growth:+}")
            assert growth < GROWTH_BYTES_MAX
            assert script_errors_of(scheduler) == 0
        assert bystander.ended == Ended(state="completed", attempts=1, connects=1)
        assert [line for line in scheduler.events() if line["level"] == "error"] == []
    return player


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("jobs", BOTH)
def test_500_frames(tmp_path: Path, jobs: str, door: str) -> None:
    player = fuzzed(tmp_path, door, 500, jobs)
    assert player.frames >= 500
    assert len(player.reasons) > 15 and {1002, 1008, 4000} <= set(player.closes), "it gets everywhere"


@pytest.mark.large
@pytest.mark.timeout(900)
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("jobs", BOTH)
def test_10_000_frames(tmp_path: Path, jobs: str, door: str) -> None:
    assert fuzzed(tmp_path, door, 10_000, jobs).frames >= 10_000


@pytest.mark.parametrize(
    ("bug", "door", "message", "patience_s"),
    [
        ("dies_of_a_missing_field", "session", "the connection ended: 0", PATIENCE_S),
        ("ignores_a_node_after_a_drain", "node", "nobody answered", SHORT_S),
    ],
)
def test_a_planted_handler_failure_is_found_and_reported_in_one_line(
    tmp_path: Path, bug: str, door: str, message: str, patience_s: float
) -> None:
    with running(tmp_path, bug) as scheduler:
        with (
            Player(DOORS[door], scheduler.url, "nobody", patience_s=patience_s) as player,
            pytest.raises(Lost, match=message) as lost,
        ):
            fuzz(player, 2_000, SEED)
        first, line = str(lost.value).split("\n")
        assert line.startswith(f"python -m tests.api.frame_fuzz {door} "), first


def test_an_echoed_close_code_of_a_failed_handler_is_no_failure(tmp_path: Path) -> None:
    with running(tmp_path) as scheduler, Player(DOORS["node"], scheduler.url, "nobody") as player:
        player.play([[Frame(FIN | CLOSE, DIED.to_bytes(2, "big"))]], True)
        assert dict(player.closes) == {DIED: 1}


@pytest.mark.parametrize(
    ("bug", "what"), [("leaves_a_task", "task Event.wait"), ("keeps_sessions", "sessions._sessions")]
)
def test_a_planted_leak_is_found(tmp_path: Path, bug: str, what: str) -> None:
    with running(tmp_path, bug) as scheduler:
        before = memory_of(scheduler)
        with Player(DOORS["session"], scheduler.url, "nobody") as player:
            fuzz(player, 200, SEED)
        assert what in left_behind(scheduler, before, patience_s=3)


def test_a_pasted_line_is_the_same_script() -> None:
    script: frames.Script = [
        [Message(True, {"type": "x", "load": math.nan, "a": -math.inf, "\ud800": b"\0"}), Frame(129, b"\xff\x00'")],
        [frames.Raw(b"\n"), frames.Again(), frames.Job()],
    ]
    line = line_to_paste("node", script, greeted=False)
    assert "\n" not in line and "--not-greeted" in line
    assert repr(frames.read(shlex.split(line)[-1])) == repr(script)
