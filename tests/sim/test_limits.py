"""Limits as text, and figures formatted for people."""

from __future__ import annotations

import math

import pytest

from voxpool.scheduler.errors import ConfigError
from voxpool.sim.report.limits import Figure, holds, in_words, read_limit, shown


@pytest.mark.parametrize(
    ("figure", "limit", "answer"),
    [
        (0, "== 0", True),
        (1, "== 0", False),
        (1.4, "< 1.5", True),
        (1.5, "<1.5", False),
        (0.99, ">= 0.99", True),
        (6600.0, "6534 .. 6666", True),
        (6700.0, "6534 .. 6666", False),
        (-1, "-2 .. 0", True),
        (0.199, "< 200ms", True),
        (0.2, "< 200 ms", False),
        (0.0093, "<= 0.93 %", True),
        (0.0094, "<= 0.93 %", False),
        (90.1, "> 90/s", True),
        (1.4, "> 90 /min", False),
        (250e6, "<= 0.25 GB", True),
        (0.15, "0.1 .. 0.2 s", True),
        (0.25, "100 .. 200 ms", False),
        ("no leak", "== no leak", True),
        ("leak", "== no leak", False),
        ("leak", "!= no leak", True),
        ("unclear", "== no leak", None),
        (None, "== 0", None),
        (math.nan, "== 0", None),
    ],
)
def test_a_limit_is_kept_or_broken_or_unknown(figure: Figure, limit: str, answer: bool | None) -> None:
    assert holds(figure, limit) is answer


@pytest.mark.parametrize(
    ("figure", "limit"),
    [(1, "about 1"), (1, "< much"), ("leak", "< 1"), ("leak", "1 .. 2"), (1, "1 .. x"), (1, "< 5 apples")],
)
def test_an_invalid_limit_is_reported(figure: Figure, limit: str) -> None:
    with pytest.raises(ConfigError, match="limit"):
        holds(figure, limit)


@pytest.mark.parametrize(
    ("figure", "unit", "text"),
    [
        (1728000, "jobs", "1,728,000 jobs"),
        (6598.734, "", "6,598.7"),
        (0.12345, "s", "0.123 s"),
        (123.456, "", "123.5"),
        (2e9, "B", "2,000,000,000 B"),
        ("no leak", "B", "no leak"),
        (None, "B", "-"),
        (math.nan, "B", "not measured"),
        (math.inf, "", "inf"),
        (math.inf, "s", "for ever"),
    ],
)
def test_figures_are_formatted_for_people(figure: Figure, unit: str, text: str) -> None:
    assert shown(figure, unit) == text


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("<= 0 %", "at most 0 %"),
        ("<200ms", "below 200ms"),
        (">= 90 /s", "at least 90 /s"),
        ("> 0", "above 0"),
        ("== 0", "0"),
        ("== no leak", "no leak"),
        ("!= leak", "not leak"),
        ("1 .. 2 s", "1 to 2 s"),
    ],
)
def test_a_limit_in_words(limit: str, words: str) -> None:
    assert in_words(limit) == words


def test_a_limit_has_one_normal_form() -> None:
    assert [read_limit(text).text for text in ("<200ms", "<=  0.10%", "100..200 ms", "==no leak")] == [
        "< 200 ms",
        "<= 0.1 %",
        "100 .. 200 ms",
        "== no leak",
    ]
