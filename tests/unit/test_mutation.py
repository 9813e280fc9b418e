"""Planted mutants of Lua and Python, excluded ones, and the drawing of the sample."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mutation.by_hand import read_bugs
from mutation.draw import candidates, draw
from mutation.lua_tokens import tokens
from mutation.mutant import LUA_FOLDER, changed_lines, files_in_scope
from mutation.survivors import read_reasons
from mutation.trial import scripts_with

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
    return [mutant.after for mutant in draw(candidates(folder, [f"{LUA_FOLDER}/a.lua"]), 0, 1)]


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
def test_the_mutants_of_a_line(planted: Path, line: str, mutants: list[str]) -> None:
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


def test_every_script_has_its_own_mutants() -> None:
    for path in sorted((ROOT / LUA_FOLDER).glob("*.lua")):
        found = [mutant.source for mutant in draw(candidates(ROOT, [f"{LUA_FOLDER}/{path.name}"]), 0, 1)]
        assert len(set(found)) == len(found) and path.read_text() not in found


def test_python_gets_the_mutants_of_functions_only(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("BOUND = 1\n\n\ndef f(a: int = 2) -> bool:\n    return a < BOUND\n")

    assert [(mutant.line, mutant.after) for mutant in draw(candidates(tmp_path, ["a.py"]), 0, 1)] == [
        (4, "def f(a: int = 3) -> bool:"),
        (5, "return a <= BOUND"),
    ]


def test_a_change_of_one_file_does_not_change_the_sample_of_the_others(tmp_path: Path) -> None:
    """A second run after new tests and small repairs therefore tries the same mutants."""
    for name in "ab":
        (tmp_path / f"{name}.py").write_text("def f(a):\n" + "".join(f"    a += {n}\n" for n in range(20)))
    before = {mutant.name for mutant in draw(candidates(tmp_path, ["a.py", "b.py"]), 30, 1)}
    (tmp_path / "b.py").write_text("def g(a):\n" + "".join(f"    a += {n}\n" for n in range(20)))
    after = {mutant.name for mutant in draw(candidates(tmp_path, ["a.py", "b.py"]), 30, 1)}
    in_a = {name for name in before & after if name.startswith("a.py")}
    assert len(before) == 30 and len(in_a) >= 10
    assert draw(candidates(tmp_path, ["a.py"]), 10, 1) != draw(candidates(tmp_path, ["a.py"]), 10, 2)


def test_the_scope_has_the_deciding_code() -> None:
    files = files_in_scope(ROOT)
    assert len(files) == len(set(files)) > 60
    assert {"scheduler/core/dispatcher.py", "scheduler/sdk/wire/session.py", "lua/select_node.lua"} <= set(files)


def test_each_file_below_lua_leads_to_the_scripts_that_run_it() -> None:
    """A file without one is tried with no test."""
    files = [path for path in files_in_scope(ROOT) if path.endswith(".lua")]
    scripts = scripts_with(ROOT)
    assert sorted(scripts) == sorted(path.removeprefix(f"{LUA_FOLDER}/").removesuffix(".lua") for path in files)
    assert scripts["jobs/_partition"] >= {"submit", "take"} and scripts["drain_node"] == {"drain_node"}


def test_each_bug_by_hand_is_noticed_by_its_test() -> None:
    """These are mutants that survived all tests once, and others of their kind (mutation/by_hand.toml)."""
    done = subprocess.run([sys.executable, "-m", "mutation.by_hand"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"all {len(read_bugs())} noticed" in done.stdout


def test_a_bug_whose_text_has_changed_is_an_error() -> None:
    bug = read_bugs()[0]._replace(before="no such text")
    with pytest.raises(ValueError, match="its text is 0 times in"):
        bug.mutant(ROOT)


def test_each_survivor_with_a_reason_is_still_in_the_source() -> None:
    """A row of mutation/survivors.toml whose line was changed explains nothing any more."""
    for path, before, after in read_reasons():
        lines = " ".join(line.strip() for line in (ROOT / path).read_text().split("\n"))
        assert before in lines and before != after, f"{path}: {before}"
