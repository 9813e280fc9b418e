"""Limits as text, and figures as people read them."""

from __future__ import annotations

import math

import pytest

from scheduler.errors import ConfigError
from sim.limits import Figure, holds, shown


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
        ("no leak", "== no leak", True),
        ("leak", "== no leak", False),
        ("leak", "!= no leak", True),
        ("unclear", "== no leak", None),
        (None, "== 0", None),
        (math.nan, "== 0", None),
    ],
)
def test_a_figure_keeps_to_its_limit_or_not_or_nobody_knows(figure: Figure, limit: str, answer: bool | None) -> None:
    assert holds(figure, limit) is answer


@pytest.mark.parametrize(
    ("figure", "limit"), [(1, "about 1"), (1, "< much"), ("leak", "< 1"), ("leak", "1 .. 2"), (1, "1 .. x")]
)
def test_a_limit_that_is_not_understood_is_said(figure: Figure, limit: str) -> None:
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
def test_figures_are_written_for_people(figure: Figure, unit: str, text: str) -> None:
    assert shown(figure, unit) == text
