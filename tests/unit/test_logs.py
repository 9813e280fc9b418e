"""Log lines: one JSON object each, only events of the catalogue, never audio or output."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest

from tests.unit.fakes import HandClock
from tests.unit.rig import Link
from voxpool.scheduler.core.jobs.job import COMPLETED, Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.errors import word
from voxpool.scheduler.telemetry.fan_out import fan_out
from voxpool.scheduler.telemetry.logs.events import LEVELS, Event
from voxpool.scheduler.telemetry.logs.log import LINE_BYTES_MAX, StandardLogging, cut, cut_front, open_log
from voxpool.scheduler.telemetry.logs.observer import LogObserver

SECRET = b"these bytes are somebody's voice"


def job(**fields: Any) -> Job:
    """A job with audio and output that no log line may contain."""
    fields = {"sequence": 1, "output": "what was said", **fields}
    return Job("j-1", "r-1", "s-1", "zh:en", submitted_ms=5, audio=SECRET, audio_bytes=len(SECRET), **fields)


def lines(stream: io.BytesIO) -> list[dict[str, Any]]:
    """Return the written lines."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_begins_with_time_level_and_event() -> None:
    stream = io.BytesIO()
    open_log(stream, HandClock(1_700_000_000_123))(Event.JOB_REJECTED, pair="zh:en", reason="jobs_max", left_out=None)
    assert stream.getvalue() == (
        b'{"ts":"2023-11-14T22:13:20.123Z","level":"warning","event":"job_rejected","pair":"zh:en","reason":"jobs_max"}\n'
    )


def test_events_below_the_level_are_not_written() -> None:
    stream = io.BytesIO()
    log = open_log(stream, HandClock(0), level="warning")
    log(Event.JOB_SUBMITTED, job_id="j")
    log(Event.STORE_FAILED, error="gone")
    assert [line["event"] for line in lines(stream)] == ["store_failed"]


def test_the_level_is_asked_before_fields_are_built() -> None:
    stream = io.BytesIO()
    observer = LogObserver(open_log(stream, HandClock(0), level="warning"))
    no_job: Any = None  # without any field
    observer.job_submitted(no_job)
    observer.nobody(no_job)
    observer.job_removed(no_job)
    assert stream.getvalue() == b""


def test_fields_that_are_finished_json_are_the_same_line_and_the_same_text() -> None:
    for pretty in (False, True):
        streams = io.BytesIO(), io.BytesIO()
        open_log(streams[0], HandClock(7), pretty=pretty)(Event.JOB_ENDED, job_id="j", attempt=1, reason=None)
        open_log(streams[1], HandClock(7), pretty=pretty).plain(Event.JOB_ENDED, '"job_id":"j","attempt":1')
        assert streams[0].getvalue() == streams[1].getvalue() != b""


def test_on_a_terminal_lines_are_text() -> None:
    stream = io.BytesIO()
    open_log(stream, HandClock(0), pretty=True)(Event.STORE_FAILED, error="gone")
    assert b"store_failed" in stream.getvalue() and not stream.getvalue().startswith(b"{")


def test_long_texts_are_cut_between_two_characters() -> None:
    stream = io.BytesIO()
    log = open_log(stream, HandClock(0))
    for text in ("音" * 100_000, "a" + "音" * 100_000, "aa" + "音" * 100_000, "é" * 1999):
        log(Event.STORE_FAILED, error=text)
    for line in lines(stream):
        assert len(line["error"].encode()) in (1998, 1999, 2000) and "�" not in line["error"]
    assert cut("aé", 2) == "a" and cut_front("éa", 2) == "a" and cut("\udc80", 9) == "?"


def test_a_line_is_bounded_with_any_content() -> None:
    """Control characters take six bytes in JSON, and a list may be long."""
    stream = io.BytesIO()
    log = open_log(stream, HandClock(0))
    log(Event.HTTP_SERVER, message="\0" * 5000, logger="\0" * 5000, error="\1" * 5000)
    log(Event.NODE_REGISTERED, pairs=["\0" * 5000] * 300)
    assert all(len(line) <= LINE_BYTES_MAX for line in stream.getvalue().splitlines())
    assert lines(stream)[0]["message"] == "\0" * 100 and len(lines(stream)[1]["pairs"]) <= 16


def test_other_values_are_replaced_by_their_type() -> None:
    stream = io.BytesIO()
    open_log(stream, HandClock(0))(Event.STORE_FAILED, error=SECRET)
    assert lines(stream)[0]["error"] == "<bytes>"


def test_events_caused_by_peers_are_limited_and_dropped_ones_counted() -> None:
    stream, clock = io.BytesIO(), HandClock(1000)
    log = open_log(stream, clock)
    for _ in range(1000):
        log(Event.LATE_RESULT, job_id="j", attempt=1, node_id="n")
    log(Event.STORE_RECOVERED)
    assert [line["event"] for line in lines(stream)] == ["late_result"] * 50 + ["store_recovered"]
    clock.ms = 2000
    log(Event.STORE_RECOVERED)
    assert [(line.get("of"), line.get("lines")) for line in lines(stream)[51:]] == [("late_result", 950), (None, None)]
    log(Event.LATE_RESULT, job_id="j", attempt=1, node_id="n")
    assert lines(stream)[-1]["event"] == "late_result"


@pytest.mark.parametrize(("sample", "reported"), [(1, [0, 1, 2, 3]), (2, [0, 2]), (0, [])])
def test_sampled_jobs_are_logged_completely_and_others_only_on_errors(sample: int, reported: list[int]) -> None:
    stream = io.BytesIO()
    observer = LogObserver(open_log(stream, HandClock(0), level="debug"), sample)
    node = Node("n-1", "p-1", ("zh:en",), 2, Link(), 0)
    for sequence in range(4):
        one = Job(f"j-{sequence}", "r-1", "", "zh:en", sequence, 5, None, 0, attempt=1)
        for tell in (observer.job_submitted, observer.nobody, lambda job: observer.job_dispatched(job, node)):
            tell(one)
        one.state, one.output = COMPLETED, "what was said"
        observer.job_ended(one)
        observer.job_removed(one)
    assert [line["job_id"] for line in lines(stream)] == [f"j-{sequence}" for sequence in reported for _ in range(5)]
    observer.job_redispatched(job(sequence=1), "n-1", 1, "closed")
    observer.job_ended(job(sequence=1, state="failed", reason="waiting_timeout"))
    assert [line["event"] for line in lines(stream)[-2:]] == ["job_redispatched", "job_ended"]


def test_a_reason_with_free_text_is_not_written() -> None:
    """A node may send any text as a reason, even its input."""
    assert word("engine_error") == "engine_error" and word("") == ""
    assert word("the man said: come") == word("音") == word("x" * 65) == "unworded"


def test_the_observer_logs_every_event_without_payload() -> None:
    """Every method of Observer is called; each line is an event, and none contains the payload."""
    stream = io.BytesIO()
    observer = LogObserver(open_log(stream, HandClock(0), level="debug"))
    node = Node("n-1", "p-1", ("zh:en",), 2, Link(), 0)
    ended = job(state=COMPLETED, ended_ms=25, attempt=2, dispatched_ms=15)
    observer.job_submitted(job())
    observer.job_rejected("zh:en", "jobs_max")
    observer.connection_refused("127.0.0.1:9", "stopping")
    observer.peer_aborted("127.0.0.1:9", "takes_nothing")
    observer.job_dispatched(job(attempt=1, dispatched_ms=15), node)
    observer.job_redispatched(job(), "n-1", 1, "closed")
    observer.job_ended(ended)
    observer.job_removed(ended)
    observer.late_result("j-1", 1, "n-1")
    observer.stale_allocation(job(), "n-1", "g-1")
    observer.nobody(job())
    observer.node_registered(node)
    observer.node_offline(node, "closed")
    observer.node_rests(node, 99, "busy")
    observer.swept(3, 0.5)
    observer.store_failed("gone")
    observer.store_recovered()
    observer.scheduler_lapsed(3)
    observer.jobs_adopted(3, "0a1b2c3d4e", 2)
    written = lines(stream)
    methods = [name for name in vars(Observer) if not name.startswith("_")]
    assert len(written) == len(methods) - 1, "partitions_failing is a metric: store_failed is logged with it"
    assert {line["event"] for line in written} <= {event.value for event in Event}
    assert b"voice" not in stream.getvalue() and b"said" not in stream.getvalue()
    assert written[6]["total_ms"] == 20 and written[6]["state"] == "completed"


def test_messages_of_the_http_server_become_events() -> None:
    stream = io.BytesIO()
    logger = logging.Logger("uvicorn.error")
    logger.addHandler(StandardLogging(open_log(stream, HandClock(0))))
    logger.info("not this")
    logger.warning("Invalid HTTP request %s", "received")
    assert [(line["event"], line["message"]) for line in lines(stream)] == [
        ("http_server", "Invalid HTTP request received")
    ]


def test_a_fan_out_calls_all_observers() -> None:
    reported: list[str] = []

    class First(Observer):
        def store_failed(self, detail: str) -> None:
            reported.append(f"first {detail}")

    class Second(Observer):
        def store_failed(self, detail: str) -> None:
            reported.append(f"second {detail}")

        def store_recovered(self) -> None:
            reported.append("second recovered")

    both = fan_out([First(), Second()])
    both.store_failed("gone")
    both.store_recovered()
    both.swept(1, 0.0)
    assert reported == ["first gone", "second gone", "second recovered"]


@pytest.mark.parametrize("level", list(LEVELS))
def test_each_level_can_be_set(level: str) -> None:
    assert open_log(io.BytesIO(), HandClock(0), level).level == LEVELS[level]
