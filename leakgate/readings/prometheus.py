"""Reads a Prometheus or OpenMetrics page: a counter is the work of a server, a gauge or a counter its clean-ups.

It uses the parsers of prometheus_client, which handle escapes, exemplars and timestamps. They take about 10 us per
line, so the size of the page is bounded.
"""

from __future__ import annotations

import difflib
import math
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import httpx
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from voxpool.leakgate.errors import BadSelector, NoReading

PAGE_BYTES_MAX = 8 * 1024 * 1024
"""About 80,000 series, which take a second to parse."""
SELECTOR_CHARACTERS_MAX = 1000
FETCH_S_MAX = 30.0
"""Timeout of a whole answer; the client's timeout bounds each wait only."""
STARTED, RSS, FILES = "process_start_time_seconds", "process_resident_memory_bytes", "process_open_fds"
"""Metrics of the process that every client library exposes, some with a prefix."""
_ACCEPT = "text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0;q=0.5"
_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_TERM = re.compile(rf"\s*({_NAME})\s*(?:\{{([^{{}}]*)\}})?\s*")
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(,|$)')


class Term(NamedTuple):
    """One metric, with required label values."""

    name: str
    labels: dict[str, str]

    def __str__(self) -> str:
        inner = ",".join(f'{label}="{value}"' for label, value in self.labels.items())
        return f"{self.name}{{{inner}}}" if inner else self.name


Selector = tuple[Term, ...]
"""Metrics that are summed."""


def parse_selector(text: str) -> Selector:
    """Return the metrics that `text` names: `name`, `name{label="value"}`, and several of them with + between.

    Raises BadSelector.
    """
    if len(text) > SELECTOR_CHARACTERS_MAX:
        raise BadSelector(f"a selector has at most {SELECTOR_CHARACTERS_MAX} characters")
    terms: list[Term] = []
    place = 0
    while True:
        found = _TERM.match(text, place)
        if found is None:
            raise BadSelector(_wanted(text, place))
        terms.append(Term(found[1], _labels(text, found[2] or "")))
        place = found.end()
        if place == len(text):
            return tuple(terms)
        if text[place] != "+":
            raise BadSelector(_wanted(text, place))
        place += 1


def _labels(text: str, inner: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    place = 0
    while inner[place:].strip():
        found = _LABEL.match(inner, place)
        if found is None:
            raise BadSelector(f'{text!r}: the labels {inner!r} are not of the form label="value", …')
        labels[found[1]] = re.sub(r"\\(.)", lambda escape: "\n" if escape[1] == "n" else escape[1], found[2])
        place = found.end()
    return labels


def _wanted(text: str, place: int) -> str:
    hint = "; a regular expression (=~) is not supported" if "=~" in text else ""
    return (
        f'{text!r}: want name, name{{label="value"}} or several with + between, at {text[place : place + 20]!r}{hint}'
    )


class Page:
    """The samples of one scrape."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self.series = 0
        """Number of samples on the page, which shows labels that grow without bound."""
        self._samples: dict[str, list[tuple[Mapping[str, str], float]]] = {}
        self._empty: set[str] = set()
        for family in families:
            if not family.samples:
                self._empty |= {family.name, f"{family.name}_total"}
            for name, labels, value, *_ in family.samples:
                self.series += 1
                self._samples.setdefault(name, []).append((labels, value))

    def value(self, selector: Selector) -> float:
        """Return the sum of the samples that `selector` names. Raises NoReading when the page has no such metric.

        A label value that is not on the page counts as 0, because many counters exist only after their first use.
        """
        return sum(self._value(term) for term in selector)

    def of_process(self, name: str) -> float | None:
        """Return STARTED (wall clock), RSS or FILES; None when the page does not have it, or has several."""
        found = [
            value
            for one in self._samples
            if one == name or one.endswith(f"_{name}")
            for _, value in self._samples[one]
            if math.isfinite(value)
        ]
        return found[0] if len(found) == 1 else None

    def _value(self, term: Term) -> float:
        samples = self._samples.get(term.name)
        if samples is None:
            if term.name in self._empty:
                return 0.0
            raise NoReading(f"the page has no metric {term.name}{self._near(term.name)}")
        for label in term.labels:
            known = sorted({name for labels, _ in samples for name in labels})
            if label not in known:
                raise NoReading(f"{term.name} has no label {label}; it has {', '.join(known) or 'none'}")
        total = sum(value for labels, value in samples if term.labels.items() <= labels.items())
        if not math.isfinite(total):
            raise NoReading(f"{term} is {total:g}, which is no count")
        return total

    def _near(self, name: str) -> str:
        """Return names that are close to `name`, counters first."""
        names = sorted(one for one in self._samples if not one.endswith("_created"))
        near: Sequence[str] = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
        near = near or [one for one in names if name.lower() in one.lower()][:3]
        if near:
            return f"; did you mean {' or '.join(near)}?"
        counters = [one for one in names if one.endswith("_total")][:5]
        return f"; its counters are {', '.join(counters)}" if counters else "; it has no counter at all"


def parse_page(text: str, media_type: str = "text/plain") -> Page:
    """Return the samples of `text`. Raises NoReading when it is not a page of metrics."""
    parse = parse_openmetrics if "openmetrics" in media_type else parse_text
    try:
        page = Page(parse(text))
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise NoReading(f"this is no page of metrics: {str(error)[:200]}") from error
    if not page.series:
        raise NoReading("the page has no metrics")
    return page


class MetricsReader:
    """Scrapes `url` by `http`, whose timeout bounds each wait."""

    def __init__(self, http: httpx.Client, url: str) -> None:
        self._http = http
        self._url = url

    def read(self) -> Page:
        """Return the current page. Raises NoReading."""
        fetched = fetch(self._http, self._url, PAGE_BYTES_MAX, {"accept": _ACCEPT})
        try:
            return parse_page(fetched.body.decode(), fetched.media_type)
        except (NoReading, UnicodeDecodeError) as error:
            raise NoReading(f"{self._url}: {error}") from error


class Fetched(NamedTuple):
    """An answer."""

    body: bytes
    media_type: str
    url: str
    """Where it came from, after redirects."""


def fetch(http: httpx.Client, url: str, bytes_max: int, headers: Mapping[str, str]) -> Fetched:
    """Return the content of `url`, at most `bytes_max` long. Raises NoReading, which names the remedy."""
    end_s = time.monotonic() + FETCH_S_MAX
    try:
        with http.stream("GET", url, headers=dict(headers)) as response:
            if response.status_code in (401, 403):
                raise NoReading(f"{url} answers {response.status_code}: it needs another token")
            if response.status_code != 200:
                raise NoReading(f"{url} answers {response.status_code}")
            body = bytearray()
            for part in response.iter_bytes():
                body += part
                if len(body) > bytes_max:
                    raise NoReading(f"{url} is longer than {bytes_max:,} bytes")
                if time.monotonic() > end_s:
                    raise NoReading(f"{url} has not answered in full within {FETCH_S_MAX:g} s")
            return Fetched(bytes(body), response.headers.get("content-type", ""), str(response.url))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NoReading(f"{url}: {str(error) or type(error).__name__}") from error
