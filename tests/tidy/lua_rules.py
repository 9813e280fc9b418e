"""Rules for the scripts of lua/: a head that is a contract, named arguments, repeatable answers."""

from __future__ import annotations

import re

from tests.tidy.source_tree import SourceTree

HEAD_SAYS = ("Purpose", "KEYS", "ARGV", "Returns", "Called by")
# A file that starts with _ is a part that the scripts include.
PART_SAYS = ("Included by",)
# Functions that differ between stores or runs (a clock, the order of a table), or that LuaJIT lacks.
_FORBIDDEN = {
    r"\bp?call\s*\(\s*['\"]TIME['\"]": "now_ms from ARGV",
    r"\bp?call\s*\(\s*['\"](P?EXPIRE(AT)?|P?SETEX)['\"]": "a score that a sweep compares with now_ms",
    r"\bp?call\s*\(\s*['\"][SHZ]RANDMEMBER['\"]": "a rank drawn from the seed in ARGV",
    r"\bmath\.random": "a draw from the seed in ARGV",
    r"\bcjson\b": "flat strings",
    r"\bcmsgpack\b": "flat strings",
    r"\bstruct\.": "flat strings",
    r"(?<!i)\bpairs\s*\(": "ipairs: the order of pairs() is not repeatable",
}


def scripts_say_their_contract(tree: SourceTree) -> list[str]:
    """The comment at the head names purpose, KEYS, ARGV, return values and callers."""
    violations = []
    for path in _scripts(tree):
        head = []
        for line in (tree.text(path) or "").splitlines():
            if not line.startswith("--"):
                break
            head.append(line)
        wanted = PART_SAYS if path.rpartition("/")[2].startswith("_") else HEAD_SAYS
        violations += [
            f"{path}: the head has no line that starts with: -- {word}"
            for word in wanted
            if not any(re.match(rf"--\s+{word}\b", line) for line in head)
        ]
    return violations


def scripts_name_their_arguments(tree: SourceTree) -> list[str]:
    """KEYS[n] and ARGV[n] with a number occur only in the first lines, which bind them to local names."""
    violations = []
    for path in _scripts(tree):
        for number, line in _code(tree, path):
            if re.search(r"\b(KEYS|ARGV)\s*\[\s*\d+\s*\]", line) and not re.match(r"local\b", line):
                violations.append(f"{path}:{number}: {line.strip()}: bind it to a local name at the top")
    return violations


def scripts_are_repeatable(tree: SourceTree) -> list[str]:
    """Time and chance come in ARGV, and only functions of all stores are used."""
    return [
        f"{path}:{number}: {line.strip()}: use {instead}"
        for path in _scripts(tree)
        for number, line in _code(tree, path)
        for pattern, instead in _FORBIDDEN.items()
        if re.search(pattern, line)
    ]


def _scripts(tree: SourceTree) -> list[str]:
    return tree.files("lua", suffix=".lua")


def _code(tree: SourceTree, path: str) -> list[tuple[int, str]]:
    """Return the numbered lines without their comments."""
    lines = (tree.text(path) or "").splitlines()
    return [(number, line.split("--")[0]) for number, line in enumerate(lines, 1)]
