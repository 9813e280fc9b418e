"""Texts of errors from a worker's code to its client."""

from __future__ import annotations

import pytest

from voxpool.scheduler.core.jobs.error_text import (
    CHARACTERS_MAX,
    TRACEBACK_CHARACTERS_MAX,
    cleaned,
    error_text,
    traceback_text,
)


class Unspeakable(Exception):
    """A user's error whose text can't be computed."""

    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("  two\r\n lines\t", "two lines"),
        ("\x1b]0;title\x07\x9b2J", "]0;title 2J"),
        ("ab\u202ecd\u2066ef\u200bgh", "ab cd ef gh"),
        ("half \udce9 a pair", "half a pair"),
        ("音" * 600, "音" * 499 + "…"),
        ("x" * CHARACTERS_MAX, "x" * CHARACTERS_MAX),
        ("\n" * 5000 + "late", "…"),
        ("", ""),
    ],
)
def test_a_text_is_one_line_without_control_characters(text: str, expected: str) -> None:
    line = cleaned(text)
    assert line == expected
    assert len(line) <= CHARACTERS_MAX and line.encode().decode() == line


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("no such speaker"), "ValueError: no such speaker"),
        (KeyError("model"), "KeyError: 'model'"),
        (MemoryError(), "MemoryError"),
        (Unspeakable(), "Unspeakable: its text can't be shown"),
    ],
)
def test_an_error_is_its_type_and_its_message(error: Exception, expected: str) -> None:
    assert error_text(error) == expected


def test_a_shortened_traceback_ends_with_the_raising_line() -> None:
    def deep(level: int) -> None:
        if not level:
            raise ValueError("m" * 10_000)
        deep(level - 1)

    with pytest.raises(ValueError, match="m") as raised:
        deep(30)
    text = traceback_text(raised.value)
    assert len(text) <= TRACEBACK_CHARACTERS_MAX
    assert 'raise ValueError("m" * 10_000)' in text and text.splitlines()[-1].startswith("ValueError: mmm")
    assert traceback_text(Unspeakable())
