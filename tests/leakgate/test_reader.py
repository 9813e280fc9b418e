"""Readers of a foreign server: by its pid, its report, its metrics and their combinations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.leakgate.foreign import TOKEN, Foreign, foreign
from voxpool.leakgate.errors import LeakgateError, NoReading, Restarted
from voxpool.leakgate.readings.prometheus import parse_selector
from voxpool.leakgate.readings.reader import Selectors, ServerReader, open_reader
from voxpool.leakgate.readings.series import Bound, Reading, Source

WORK = Selectors(work=parse_selector("orders_total"), cleanups=parse_selector("last_clean_up_timestamp_seconds"))
ORDERS = 40


@pytest.fixture(scope="module")
def leaky() -> Iterator[Foreign]:
    with foreign("table") as server:
        yield server


def ask(server: Foreign, method: str, path: str, **options: Any) -> httpx.Response:
    with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as http:
        return http.request(method, path, **options)


def order(server: Foreign, number: int, path: str = "/order") -> None:
    with httpx.Client(base_url=server.url, trust_env=False) as http:
        for _ in range(number):
            http.get(path)


def grown(reader: ServerReader, server: Foreign) -> tuple[Reading, Reading]:
    """Return a reading before and one after ORDERS orders."""
    before = reader.read()
    order(server, ORDERS)
    return before, reader.read()


def test_from_the_pid_and_a_metric(leaky: Foreign) -> None:
    with open_reader(pid=leaky.popen.pid, metrics_url=leaky.metrics_url, selectors=WORK) as reader:
        before, after = grown(reader, leaky)
        assert after.work - before.work == ORDERS
        assert after.pss_bytes and after.rss_bytes > 10_000_000 and after.allocated_bytes is None
        assert {"open files", "threads", "metric series"} <= after.counts.keys()
        assert reader.source().name == f"pid {leaky.popen.pid}, {leaky.metrics_url}"


def test_from_inside_with_the_count_of_its_middleware(leaky: Foreign) -> None:
    with open_reader(report_url=leaky.report_url, token=TOKEN) as reader:
        before, after = grown(reader, leaky)
        assert after.work - before.work == ORDERS, "the report itself is no work"
        assert after.in_flight == 0
        assert after.counts["table shop.orders"] - before.counts["table shop.orders"] == ORDERS
        assert after.allocated_bytes is not None and before.allocated_bytes is not None and not after.unreadable
        assert after.collect_ms > 0
        assert reader.source().bounds["table shop.recent"] == Bound(5, 400.0)
        assert reader.source().unit == "request"


def test_from_all_sources_together(leaky: Foreign) -> None:
    with open_reader(
        pid=leaky.popen.pid,
        report_url=leaky.report_url,
        metrics_url=leaky.metrics_url,
        selectors=WORK,
        token=TOKEN,
        about=Source(name="the shop", unit="order", interval_s=60),
    ) as reader:
        before, after = grown(reader, leaky)
        assert after.work - before.work == ORDERS
        assert after.pss_bytes and after.allocated_bytes and after.counts["metric series"] > 3
        assert (before.cleanups, before.age_s) == (0, None)
        order(leaky, 1, "/clean-up")
        swept = reader.read()
        assert swept.cleanups == 1 and swept.age_s is not None and 0 <= swept.age_s < 30
        source = reader.source()
        assert (source.name, source.unit, source.interval_s) == ("the shop", "order", 60)


def test_a_bound_declared_by_the_watch_overrides_that_of_the_process(leaky: Foreign) -> None:
    about = Source(bounds={"table shop.recent": Bound(9), "table shop.orders": Bound(1000)})
    with open_reader(report_url=leaky.report_url, token=TOKEN, about=about) as reader:
        reader.read()
        assert reader.source().bounds == {"table shop.recent": Bound(9, 400.0), "table shop.orders": Bound(1000)}


def test_metrics_alone_give_the_rss(leaky: Foreign) -> None:
    with open_reader(metrics_url=leaky.metrics_url, selectors=WORK) as reader:
        reading = reader.read()
        assert reading.rss_bytes > 10_000_000 and reading.counts["open files"] > 3


def test_without_a_counter_time_is_the_unit_of_work(leaky: Foreign) -> None:
    now_s = iter([100.0, 101.0, 107.5])
    with open_reader(pid=leaky.popen.pid) as opened:
        reader = ServerReader(opened._process, seconds=lambda: next(now_s))
        assert [reader.read().work for _ in range(2)] == [1, 7]
        assert reader.source().unit == "second"


def test_a_restarted_server_is_noticed_once_by_each_reader() -> None:
    with foreign() as first:
        inside = open_reader(report_url=first.report_url, token=TOKEN)
        counted = open_reader(metrics_url=first.metrics_url, selectors=WORK)
        by_pid = open_reader(pid=first.popen.pid)
        for reader in (inside, counted, by_pid):
            assert reader.read().work >= 0
    with pytest.raises(NoReading, match="no process has the pid"):
        by_pid.read()
    with foreign() as second:
        inside._report._asked = inside._report._asked.replace(str(first.port), str(second.port))  # type: ignore[union-attr]
        counted._metrics._url = second.metrics_url  # type: ignore[union-attr]
        for reader in (inside, counted):
            with pytest.raises(Restarted):
                reader.read()
            assert reader.read().work == 0
            reader.close()


def test_workers_that_answer_in_turn_are_refused(leaky: Foreign) -> None:
    """A server of several processes behind one port gives each request to any of them."""
    with foreign() as other, open_reader(report_url=leaky.report_url, token=TOKEN) as reader:
        assert reader._report is not None
        asked = [reader._report._asked, reader._report._asked.replace(str(leaky.port), str(other.port))]
        reader.read()
        reader._report._asked = asked[1]
        with pytest.raises(Restarted):
            reader.read()
        reader._report._asked = asked[0]
        with pytest.raises(NoReading, match="several processes answer in turn"):
            reader.read()
        with (
            open_reader(pid=other.popen.pid, report_url=leaky.report_url, token=TOKEN) as mixed,
            pytest.raises(NoReading, match="that of another process"),
        ):
            mixed.read()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "nothing to read"),
        ({"pid": 1, "selectors": WORK}, "not where they are"),
        ({"report_url": "http://host:port"}, "no URL"),
        ({"report_url": "https://x", "ca_file": "/nowhere.pem"}, "no certificates"),
    ],
)
def test_an_unreadable_source_has_a_reason(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(LeakgateError, match=reason):
        open_reader(**options)


def test_without_the_token_there_is_no_report(leaky: Foreign) -> None:
    for token in ("", "wrong", "s3cre", "ß"):
        headers = {"authorization": f"Bearer {token}".encode()} if token else {}
        answer = ask(leaky, "GET", "/debug/leakgate/", headers=headers)
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
    with open_reader(report_url=leaky.report_url) as reader, pytest.raises(NoReading, match="needs another token"):
        reader.read()
    with open_reader(report_url=f"{leaky.url}/order") as reader, pytest.raises(NoReading, match="no memory report"):
        reader.read()
