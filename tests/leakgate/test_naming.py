"""The naming of leaking lines: the compared snapshots, the named frame, and the end of the tracing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import pytest

from tests.e2e.processes import wait_until
from voxpool.leakgate.errors import TraceError
from voxpool.leakgate.inside.tracing import Trace, TraceRow
from voxpool.leakgate.judging.finding import Growth, MemoryFinding, SourceLine
from voxpool.leakgate.readings.naming import (
    LINGER_S,
    NAME_S,
    Naming,
    Tracing,
    lacks_a_name,
    line_of,
    settle_s,
    with_lines,
)
from voxpool.leakgate.readings.series import Reading, Source
from voxpool.leakgate.watching.watch import Watch

SOURCE = Source(unit="job", interval_s=1.0, retention_s=3.0)
RATE = 10
LEAK, KEPT, BACKLOG = "/srv/app/cache.py:7", "/srv/app/jobs.py:3", "/srv/app/queue.py:5"
VENV, LIB = "/srv/.venv/lib/python3.11/site-packages", "/usr/lib/python3.11"


class Process:
    """A process that leaks 139 bytes a job in LEAK, and keeps up to 5,000 bytes of jobs between two clean-ups."""

    def __init__(self) -> None:
        self.t_s = 100.0
        self.marked_s = 0.0
        self.asked: list[str] = []
        self.fails = ""
        self.backlog_a_job = 0
        self.tracing = Tracing(self.start, lambda: self.ask("mark"), self.top, lambda: self.ask("stop"))

    def ask(self, what: str) -> None:
        self.asked.append(what)
        if what == self.fails:
            raise TraceError("HTTP 409")
        if what == "mark":
            self.marked_s = self.t_s

    def start(self, frames: int, seconds: float) -> None:
        self.ask("start")
        assert seconds > settle_s(SOURCE) + NAME_S

    def top(self) -> Trace:
        self.ask("top")
        leaked = int(139 * RATE * (self.t_s - self.marked_s))
        kept = 1000 * int(self.t_s * 2 % 6)
        backlog = int(self.backlog_a_job * RATE * (self.t_s - self.marked_s))
        rows = [
            TraceRow([f"{LIB}/json/encoder.py:1", LEAK], leaked // 2, leaked // 278, leaked, 1),
            TraceRow([LEAK, KEPT], leaked - leaked // 2, leaked // 278, leaked, 1),
            TraceRow([KEPT], kept, kept // 100, kept, 1),
            TraceRow([BACKLOG], backlog, 1, backlog, 1),
        ]
        return Trace(True, 5, 0, 0, [row for row in rows if row.grown_bytes > 0])

    @property
    def jobs(self) -> int:
        return int(RATE * self.t_s)

    def reads(self, naming: Naming, for_s: float, every_s: float = 1.9) -> None:
        end_s = self.t_s + for_s
        while self.t_s < end_s:
            naming.step(self.jobs, self.t_s)
            self.t_s += every_s


def finding(kind: str = "objects", growing: Sequence[str] = (), verdict: str = "leak") -> MemoryFinding:
    counts = [
        Growth(
            name=name, unit="", verdict="leak", reason="", at=[], lows=[1, 2], a_unit=1, low=1, high=1, limit=0.1,
            readings=9,
        )
        for name in growing
    ]  # fmt: skip
    return MemoryFinding(verdict=verdict, reason="allocated bytes grow", kind=kind, unit="job", growing=counts)  # type: ignore[arg-type]


def test_only_the_leaking_line_is_named_with_its_bytes_a_job() -> None:
    process = Process()
    naming = Naming(process.tracing, SOURCE)
    process.reads(naming, 30)
    assert naming.is_over
    naming.finish(process.jobs)
    assert process.asked.count("stop") == 1
    assert [line.where for line in naming.lines] == ["srv/app/cache.py:7"]
    assert naming.lines[0].a_unit == pytest.approx(139, rel=0.02)
    assert naming.lines[0].blocks_a_unit == pytest.approx(1, rel=0.1)
    found = with_lines(finding(), naming, SOURCE)
    assert found.reason == "allocated bytes grow; allocated at srv/app/cache.py:7 (139 B a job)"
    assert found.lines == naming.lines


def test_growth_counts_only_after_retained_memory_can_be_complete() -> None:
    process = Process()
    naming = Naming(process.tracing, SOURCE)
    process.reads(naming, settle_s(SOURCE))
    assert process.asked == ["start"]
    process.reads(naming, 3)
    assert process.asked == ["start", "mark", "top"]


def test_memory_released_at_the_end_of_the_load_is_no_leak() -> None:
    """A backlog grows while the process is slower; its line counts until it is gone."""
    process = Process()
    process.backlog_a_job = 1000
    naming = Naming(process.tracing, SOURCE)
    process.reads(naming, 30)
    assert naming.is_over and naming.lines[0].where == "srv/app/queue.py:5"
    process.backlog_a_job = 0
    naming.finish(process.jobs)
    assert [line.where for line in naming.lines] == ["srv/app/cache.py:7"]


def test_the_tracing_stops_by_itself_after_a_time() -> None:
    process = Process()
    naming = Naming(process.tracing, SOURCE)
    process.reads(naming, settle_s(SOURCE) + NAME_S + LINGER_S)
    assert process.asked.count("stop") == 0
    process.reads(naming, 10)
    assert process.asked[-1] == "stop" and process.asked.count("stop") == 1
    naming.finish(process.jobs)
    assert process.asked[-1] == "stop" and [line.where for line in naming.lines] == ["srv/app/cache.py:7"]


def test_the_naming_uses_what_it_has_when_the_load_ends_first() -> None:
    process = Process()
    naming = Naming(process.tracing, SOURCE)
    process.reads(naming, 16)
    naming.finish()
    naming.finish()
    assert process.asked.count("stop") == 1 and [line.where for line in naming.lines] == ["srv/app/cache.py:7"]
    early = Naming(Process().tracing, SOURCE)
    early.step(1, 1.0)
    early.finish()
    assert early.lines == [] and "let it run longer" in with_lines(finding(), early, SOURCE).notes[0]


@pytest.mark.parametrize(("fails", "stops"), [("start", 0), ("mark", 1), ("top", 1), ("stop", 1)])
def test_a_tracing_that_fails_is_in_the_notes_and_stopped_if_it_is_ours(fails: str, stops: int) -> None:
    process = Process()
    process.fails = fails
    naming = Naming(process.tracing, SOURCE)
    process.reads(naming, 30)
    naming.finish(process.jobs)
    assert naming.is_over and process.asked.count("stop") == stops
    assert any("HTTP 409" in note for note in with_lines(finding(), naming, SOURCE).notes)


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ((f"{LIB}/asyncio/events.py:80", "/srv/app/web/results.py:64"), "app/web/results.py:64"),
        ((f"{VENV}/msgspec/json.py:5", f"{VENV}/app/codec.py:9"), "app/codec.py:9"),
        ((f"{VENV}/starlette/routing.py:5", f"{LIB}/asyncio/events.py:80"), "starlette/routing.py:5"),
        (("<frozen importlib._bootstrap>:1", "/home/me/app/core/x.py:2"), "app/core/x.py:2"),
        (("/home/me/tests/load/plant.py:2", "/home/me/app/x.py:2"), "tests/load/plant.py:2"),
        ((f"{VENV}/leakgate/inside/report.py:5", f"{LIB}/asyncio/events.py:80"), ""),
        ((f"{LIB}/asyncio/events.py:80",), "asyncio/events.py:80"),
    ],
)
def test_the_innermost_line_of_the_program_has_the_name(lines: Sequence[str], named: str) -> None:
    assert line_of(lines, ("app",)) == named


def test_only_a_leak_that_nothing_names_lacks_a_name() -> None:
    assert lacks_a_name(finding())
    assert lacks_a_name(finding("counts", ["type dict", "type list"]))
    assert not lacks_a_name(finding("counts", ["type dict", "table app.cache"]))
    assert not lacks_a_name(finding("counts", ["type app.Session"]))
    assert not lacks_a_name(finding("kept work")) and not lacks_a_name(finding("native"))
    assert not lacks_a_name(finding(verdict="no leak"))
    named = finding("counts", ["table app.cache"])
    assert with_lines(named, None, SOURCE) == named
    assert "takes about 32 s more of the load" in with_lines(finding(), None, SOURCE).notes[0]


class LeakyReader:
    """A reader of Process that advances its own clock by `every_s`, without a pause.

    Tracing makes allocated bytes jump.
    """

    def __init__(self) -> None:
        self.process = Process()
        self.every_s = 1.9

    def read(self) -> Reading:
        process = self.process
        process.t_s += self.every_s
        jobs = int(RATE * process.t_s)
        allocated = 500 * jobs + (10**7 if "start" in process.asked else 0)
        return Reading(t_s=process.t_s, work=jobs, rss_bytes=10**8, allocated_bytes=allocated, held_bytes=allocated)

    def source(self) -> Source:
        return Source(unit="job")

    def tracing(self) -> Tracing | None:
        return self.process.tracing

    def close(self) -> None:
        self.process.asked.append("close")


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Watch, LeakyReader]]:
    """A watch that has found a leak which no count shows."""
    monkeypatch.setattr("voxpool.leakgate.watching.watch.NAMING_PAUSE_S", 0.001)
    reader = LeakyReader()
    watch = Watch(lambda: reader, every_s=0.001)
    watch.start()
    wait_until(lambda: lacks_a_name(watch.report().finding), 60)
    yield watch, reader
    watch.stop()


def test_a_watch_names_the_lines_and_suspends_its_verdict(watched: tuple[Watch, LeakyReader]) -> None:
    watch, reader = watched
    assert "takes about" in watch.report().finding.notes[-1]
    watch.settle(watch.report())
    watch.name_lines()
    wait_until(lambda: not watch.is_naming, 60)
    found = watch.report().finding
    taken = watch.series.taken
    assert found.verdict == "leak" and found.kind == "objects"
    assert found.allocated is not None and found.allocated.a_unit == pytest.approx(500, rel=0.1)
    assert [line.where for line in found.lines] == ["srv/app/cache.py:7"] and "cache.py:7" in found.reason
    wait_until(lambda: watch.series.taken > taken + 20, 60)
    later = watch.report().finding
    assert (later.allocated, later.readings) == (found.allocated, found.readings), "what is read later is not judged"
    watch.stop()
    assert reader.process.asked.count("start") == reader.process.asked.count("stop") == 1
    assert [line.where for line in watch.report().finding.lines] == ["srv/app/cache.py:7"]


def test_a_watch_that_is_stopped_stops_the_tracing_before_it_closes_its_reader(
    watched: tuple[Watch, LeakyReader],
) -> None:
    watch, reader = watched
    reader.every_s = 0.0  # its time stands still, so that the naming does not end
    watch.settle(watch.report())
    watch.name_lines()
    wait_until(lambda: "start" in reader.process.asked, 60)
    watch.stop()
    assert reader.process.asked[-2:] == ["stop", "close"] and not watch.is_naming
    assert watch.report().finding.verdict == "leak"


def test_a_process_that_cannot_be_traced_has_a_note(
    watched: tuple[Watch, LeakyReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, _ = watched
    monkeypatch.setattr(LeakyReader, "tracing", lambda reader: None)
    watch.settle(watch.report())
    watch.name_lines()
    wait_until(lambda: not watch.is_naming, 60)
    assert any("voxpool.leakgate.inside" in note for note in watch.report().finding.notes)


def test_a_settled_verdict_survives_thinning_of_the_series(
    watched: tuple[Watch, LeakyReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page may stay open for days: the bounded series drops the readings of the verdict."""
    watch, _ = watched
    found = watch.report()
    watch.settle(found)
    monkeypatch.setattr(watch.series, "_readings_max", len(watch.series.readings) + 8)
    thinned = watch.series.taken
    wait_until(lambda: watch.series.taken > 4 * thinned, 60)
    assert len(watch.series.readings) < watch.series.taken / 2
    assert watch.report().finding.allocated == found.finding.allocated


def test_lines_that_explain_little_of_the_growth_are_not_blamed() -> None:
    """Memory that a C extension takes from malloc has no line: lines that keep a little are not the cause."""
    naming = Naming(Process().tracing, SOURCE)
    naming.is_over, naming.lines = True, [SourceLine(where="app.py:7", a_unit=41.0, blocks_a_unit=1.0)]
    allocated = Growth(
        name="allocated bytes", unit="B", verdict="leak", reason="", at=[], lows=[], a_unit=2039.0, low=1966.0,
        high=2112.0, limit=50.0, readings=99,
    )  # fmt: skip
    found = with_lines(msgspec.structs.replace(finding(), allocated=allocated), naming, SOURCE)
    assert found.lines == [] and found.reason.endswith("so native code did")
    less = msgspec.structs.replace(allocated, a_unit=60.0)
    assert "app.py:7" in with_lines(msgspec.structs.replace(finding(), allocated=less), naming, SOURCE).reason
