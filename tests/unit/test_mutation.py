"""The mutants of Lua: what is planted, and what isn't because it would say nothing about the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from mutation.lua_mutants import lua_mutants
from mutation.lua_tokens import tokens
from mutation.mutant import LUA_FOLDER, changed_lines
from mutation.python_mutants import python_mutants

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A folder with the libraries of lua/, and a script to plant mutants in."""
    (tmp_path / LUA_FOLDER).mkdir()
    for library in (ROOT / LUA_FOLDER).glob("_*.lua"):
        (tmp_path / LUA_FOLDER / library.name).write_text("")
    return tmp_path


def changes(folder: Path, text: str) -> list[str]:
    (folder / LUA_FOLDER / "a.lua").write_text(text)
    return [mutant.after for mutant in lua_mutants(folder, f"{LUA_FOLDER}/a.lua")]


@pytest.mark.parametrize(
    ("line", "mutants"),
    [
        ("local a = b <= 7", ["local a = b < 7", "local a = b > 7", "local a = b <= 8", "local a = b <= 6"]),
        ("local a = b + c", ["local a = b - c"]),
        ("local a = -b", []),
        ("local a = b and not c", ["local a = b or not c", "local a = b and  c"]),
        ("call('ZADD', LEASES, 'GT', a)", ["call('ZADD', LEASES, '', a)", ""]),
        ("a = '(' .. b", ["a = '[' .. b", ""]),
        ("if a == b then c = d end", ["if a ~= b then c = d end", ""]),
        ("if a then c = d end", ["", "if not (a) then c = d end"]),
        ("-- if 1 <= 2 then", []),
    ],
)
def test_what_is_planted_in_a_line(planted: Path, line: str, mutants: list[str]) -> None:
    assert changes(planted, f"{line}\n") == mutants


def test_a_mutant_that_does_not_compile_is_left_out(planted: Path) -> None:
    assert changes(planted, "for i = a, b do\n  break\nend\n") == [""]  # without the word; nil is no loop


def test_tokens_are_the_text_without_comments_and_space() -> None:
    assert [token.text for token in tokens("a[#a + 1] = '-- b' -- c\n")] == [
        "a",
        "[",
        "#",
        "a",
        "+",
        "1",
        "]",
        "=",
        "'-- b'",
    ]
    with pytest.raises(ValueError, match="not a token"):
        list(tokens("a ? b"))


def test_a_mutant_is_named_by_its_first_changed_line() -> None:
    assert changed_lines("a\n  b\nc", "a\n  d\nc") == (2, "b", "d")
    assert changed_lines("a\nb\nc", "a\nc") == (2, "b", "")


def test_every_script_has_mutants_each_of_its_own() -> None:
    for path in sorted((ROOT / LUA_FOLDER).glob("*.lua")):
        found = [mutant.source for mutant in lua_mutants(ROOT, f"{LUA_FOLDER}/{path.name}")]
        assert len(set(found)) == len(found) and path.read_text() not in found


def test_python_gets_the_mutants_of_functions_only(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("BOUND = 1\n\n\ndef f(a: int = 2) -> bool:\n    return a < BOUND\n")

    assert [(mutant.line, mutant.after) for mutant in python_mutants(tmp_path, "a.py")] == [
        (4, "def f(a: int = 3) -> bool:"),
        (5, "return a <= BOUND"),
    ]
