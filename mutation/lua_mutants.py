"""Mutants of the scripts of lua/: a token or a statement changed, one at a time.

Left out are texts that LuaJIT does not compile, texts with an unknown variable (the sandbox of a script rejects it at
once), and changed names of Redis commands: the first test kills each of these, however weak the tests are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from lupa import luajit21

from mutation.lua_tokens import Token, tokens
from mutation.mutant import LUA_FOLDER, Candidate, Mutant, changed_lines

_COMPARISONS = {"<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"), "==": ("~=",), "~=": ("==",)}
_ARITHMETIC = {"+": ("-",), "-": ("+",), "*": ("/",), "/": ("*",), "%": ("/",)}
_WORDS = {"and": ("or",), "or": ("and",), "true": ("false",), "false": ("true",), "nil": ("0",), "break": ("",)}
_ENDS_OF_RANGES = {"'['": "'('", "'('": "'['"}
_NOT_SIGNS = ("=", "(", "{", "[", ",", "and", "or", "return", "then")
"""After one of these a minus is a sign, no subtraction."""

_CALL = re.compile(r"^ *(?:call|take_slot|free_slot|open|shut|write_node_record)\(.*\)$")
_ASSIGNMENT = re.compile(r"^ *(?! |local\b|for\b|if\b|while\b|return\b)[\w.\[\]#+ ,]+? = .*[^{(,=]$")
_WHOLE_IF = re.compile(r"^ *if .* then (?:return .*|.+) end$")
_CONDITION = re.compile(r"\b(if|elseif|while) (.+?) (then|do)\b")
_SEVERAL = re.compile(r"\b(?:and|or)\b")
_TURNED_BY_A_TOKEN = re.compile(r"[=~<>]=|[<>]|\bnot\b")
_INCLUDE = re.compile(r"^---.*\n", re.MULTILINE)


def lua_candidates(root: Path, path: str) -> Iterator[Candidate]:
    """Yield the candidates of `path` (below lua/) under `root`."""
    text = (root / path).read_text(encoding="utf-8")
    compiles = _Compiler(root)
    changes = (*_changed_tokens(text), *_removed_statements(text), *_turned_conditions(text))
    for number, (kind, source) in enumerate(changes, 1):
        yield Candidate(path, str(number), partial(_mutant, compiles, path, text, kind, source))


def _mutant(compiles: _Compiler, path: str, text: str, kind: str, source: str) -> Mutant | None:
    if source == text or not compiles(path, source):
        return None
    line, before, after = changed_lines(text, source)
    return Mutant(path, line, kind, before, after, source)


def _changed_tokens(text: str) -> Iterator[tuple[str, str]]:
    all_tokens = list(tokens(text))
    for i, token in enumerate(all_tokens):
        before = all_tokens[i - 1].text if i else ""
        for kind, new in _others(
            token, before, is_command=before == "(" and i > 1 and all_tokens[i - 2].text == "call"
        ):
            yield kind, text[: token.start] + new + text[token.end :]


def _others(token: Token, before: str, is_command: bool) -> Iterator[tuple[str, str]]:
    word = token.text
    if token.kind == "number":
        yield "constant", str(int(word) + 1)
        if int(word) > 0:
            yield "constant", str(int(word) - 1)
    elif token.kind == "string" and not is_command:
        if word in _ENDS_OF_RANGES:
            yield "boundary", _ENDS_OF_RANGES[word]
        else:
            yield "constant", "''" if word != "''" else "'x'"
    elif word in _COMPARISONS:
        for new in _COMPARISONS[word]:
            yield "comparison", new
    elif word in _ARITHMETIC and not (word == "-" and before in _NOT_SIGNS):
        for new in _ARITHMETIC[word]:
            yield "arithmetic", new
    elif word == "not":
        yield "logic", ""
    elif word in _WORDS:
        for new in _WORDS[word]:
            yield "logic", new


def _removed_statements(text: str) -> Iterator[tuple[str, str]]:
    """Drop each line that is a complete statement: a call, an assignment to an existing variable, an `if … end`."""
    lines = text.split("\n")
    for i, line in enumerate(lines):
        bare = line.split(" -- ")[0].rstrip()
        if _CALL.match(bare) or _ASSIGNMENT.match(bare) or _WHOLE_IF.match(bare):
            yield "removed", "\n".join((*lines[:i], "", *lines[i + 1 :]))


def _turned_conditions(text: str) -> Iterator[tuple[str, str]]:
    """Swap the branches: a condition becomes its opposite, unless another mutant does the same."""
    for match in _CONDITION.finditer(text):
        word, condition, then = match.groups()
        in_comment = text.rfind("--", text.rfind("\n", 0, match.start()) + 1, match.start()) >= 0
        if not in_comment and (_SEVERAL.search(condition) or not _TURNED_BY_A_TOKEN.search(condition)):
            yield "branch", f"{text[: match.start()]}{word} not ({condition}) {then}{text[match.end() :]}"


class _Compiler:
    """Checks that LuaJIT compiles a mutated file alone, with the names that every script can use."""

    def __init__(self, root: Path) -> None:
        folder = root / LUA_FOLDER
        self._library = {f"{LUA_FOLDER}/{path.name}": path.read_text() for path in sorted(folder.glob("_*.lua"))}
        self._order = [f"{LUA_FOLDER}/_{name}.lua" for name in ("nodes", "reservations", "choice")]
        runtime: Any = luajit21.LuaRuntime()
        self._load: Any = runtime.eval("function(text) return loadstring(text) ~= nil end")

    def __call__(self, path: str, source: str) -> bool:
        parts = [source if name == path else self._library[name] for name in self._order]
        if path not in self._library:
            parts.append(_INCLUDE.sub("", source))
        return bool(self._load("\n".join(parts)))
