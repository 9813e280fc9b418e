"""Metrics as the counter of work: selectors, both text formats, hints for similar names, bounds."""

from __future__ import annotations

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from voxpool.leakgate.errors import BadSelector, NoReading
from voxpool.leakgate.readings import prometheus
from voxpool.leakgate.readings.prometheus import STARTED, MetricsReader, Page, Term, parse_page, parse_selector


def registry() -> CollectorRegistry:
    made = CollectorRegistry()
    requests = Counter("http_requests_total", "Requests.", ["status", "path"], registry=made)
    requests.labels("200", "/a").inc(5, exemplar={"trace_id": "0af7"})
    requests.labels("200", '/b"\\').inc(2)
    requests.labels("500", "/a").inc(1)
    Counter("jobs_total", "Jobs.", ["kind"], registry=made)  # none was counted yet
    Gauge("queue_length", "Waiting.", registry=made).set(3)
    Gauge("voxel_process_start_time_seconds", "Start.", registry=made).set(1_700_000_000)
    Gauge("broken", "No number.", registry=made).set(float("nan"))
    return made


PAGES = [
    parse_page(generate_latest(registry()).decode()),
    parse_page(
        generate_openmetrics(registry()).decode(),  # type: ignore[no-untyped-call]
        "application/openmetrics-text; version=1.0.0",
    ),
]


@pytest.mark.parametrize("page", PAGES, ids=["text", "openmetrics"])
@pytest.mark.parametrize(
    ("selector", "value"),
    [
        ("http_requests_total", 8),
        ('http_requests_total{status="200"}', 7),
        ('http_requests_total{status="200", path="/a"}', 5),
        ('http_requests_total{path="/b\\"\\\\"}', 2),
        ('http_requests_total{status="404"}', 0),
        (' http_requests_total{status="500"} + queue_length', 4),
        ("jobs_total", 0),
    ],
)
def test_a_selector_adds_up(page: Page, selector: str, value: float) -> None:
    assert page.value(parse_selector(selector)) == value
    assert page.of_process(STARTED) == 1_700_000_000


@pytest.mark.parametrize(
    ("selector", "reason"),
    [
        ("http_request_total", "did you mean http_requests_total"),
        ("requests", "did you mean http_requests_total"),
        ("nothing_like_it", "its counters are http_requests_total"),
        ('http_requests_total{code="200"}', "no label code; it has path, status"),
        ("broken", "broken is nan, which is no count"),
    ],
)
def test_an_unknown_metric_is_reported_with_the_known_ones(selector: str, reason: str) -> None:
    with pytest.raises(NoReading, match=reason):
        PAGES[0].value(parse_selector(selector))


@pytest.mark.parametrize(
    ("selector", "reason"),
    [
        ("", "want name"),
        ("a +", "want name"),
        ("a b", "at 'b'"),
        ('a{b=~"2.."}', "regular expression|not of the form"),
        ("a{b=1}", "not of the form"),
        ('a{b="1"', "want name"),
        ("9a", "want name"),
        ("a" * 2000, "at most 1000"),
    ],
)
def test_an_invalid_selector_is_rejected(selector: str, reason: str) -> None:
    with pytest.raises(BadSelector, match=reason):
        parse_selector(selector)


def test_a_selector_is_printed_as_written() -> None:
    assert parse_selector('a+b{c="d"}') == (Term("a", {}), Term("b", {"c": "d"}))
    assert " + ".join(map(str, parse_selector('a+b{c="d"}'))) == 'a + b{c="d"}'


def test_the_series_of_the_page_are_counted() -> None:
    few, many = (parse_page("".join(f'a{{n="{number}"}} 1\n' for number in range(count))) for count in (3, 30))
    assert (few.series, many.series) == (3, 30)


def answering(body: bytes, status: int = 200) -> MetricsReader:
    transport = httpx.MockTransport(lambda _request: httpx.Response(status, content=body))
    return MetricsReader(httpx.Client(transport=transport), "http://server/metrics")


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"<html>", 200, "no page of metrics"),
        (b"", 200, "has no metrics"),
        (b"\xff 1\n", 200, "can't decode"),
        (b"a 1\n", 401, "answers 401: it needs another token"),
        (b"a 1\n", 500, "answers 500"),
        (b"a 1\n" * 300, 200, "longer than 1,000 bytes"),
    ],
)
def test_an_answer_without_metrics_is_reported(
    monkeypatch: pytest.MonkeyPatch, body: bytes, status: int, reason: str
) -> None:
    monkeypatch.setattr(prometheus, "PAGE_BYTES_MAX", 1000)
    with pytest.raises(NoReading, match=rf"http://server/metrics.*{reason}"):
        answering(body, status).read()


def test_a_server_that_is_down_gives_no_reading() -> None:
    with httpx.Client(trust_env=False) as http, pytest.raises(NoReading, match=r"127\.0\.0\.1:1"):
        MetricsReader(http, "http://127.0.0.1:1/metrics").read()
