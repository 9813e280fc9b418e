"""The checks of a load run as people read them: in a terminal and in a sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from voxpool.loadtest.report._checks import ROWS_MAX, sentence_of, table_lines
from voxpool.sim.report.report import Check

HOLDS = Check("results", True, 1290, "> 0")
BROKEN = Check("failures", False, 0.93, "<= 0 %", unit="%", note="12 of 1,290 results")
UNCLEAR = Check("result.p99.9", False, 231.2, "< 300 ms", clear=False, unit="ms", note="50 results, 3,000 are needed")


@pytest.mark.parametrize(
    ("check", "sentence"),
    [
        (BROKEN, "failures 0.93 %, at most 0 % allowed"),
        (Check("result.p99", False, 231.2, "< 200 ms", unit="ms"), "result.p99 231.2 ms, below 200 ms expected"),
        (Check("rate", False, 12.0, ">= 90 /s", unit="/s"), "rate 12 /s, at least 90 /s expected"),
        (Check("errors of users", False, 2, "== 0"), "errors of users 2, 0 expected"),
        (Check("memory", False, "leak", "== no leak"), "memory leak, no leak expected"),
    ],
)
def test_a_broken_check_is_a_sentence(check: Check, sentence: str) -> None:
    assert sentence_of(check) == sentence


def test_the_table_has_a_line_for_each_check() -> None:
    assert table_lines([HOLDS, BROKEN, UNCLEAR]) == [
        "✓ results          1,290  above 0",
        "✗ failures        0.93 %  at most 0 %   12 of 1,290 results",
        "? result.p99.9  231.2 ms  below 300 ms  50 results, 3,000 are needed",
    ]


def test_a_check_that_does_not_decide_is_marked() -> None:
    assert table_lines([replace(BROKEN, decides=False)])[0].endswith("  12 of 1,290 results; does not decide")


def test_of_many_checks_passing_ones_are_left_out() -> None:
    lines = table_lines([*[HOLDS] * 20, UNCLEAR, BROKEN])
    assert len(lines) == ROWS_MAX
    assert [line[0] for line in lines[-3:]] == ["?", "✗", "a"]
    assert lines[-1] == "and 11 more in the report"
