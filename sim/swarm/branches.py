"""Counts the executed blocks of lua/ by scripts with a mark at the start of each block, for the memory store only.

A block follows `then`, `else`, `do` or the head of a function. The marks only affect the speed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.stores.script_sources import ScriptSource, assemble, read_texts

if TYPE_CHECKING:
    from voxpool.sim.world.stores import SimStore

QUESTION = "REACHED?"
"""The first argument with which a marked script only returns the executed blocks."""

_BLOCK = re.compile(r"\b(then|else|do)\b|\bfunction\b[^()]*\([^()]*\)")
_HIDDEN = re.compile(r"'[^']*'|\"[^\"]*\"|--.*")
_NOTE = (
    "local REACHED = {} local function reached(block) "
    "if not REACHED[block] then REACHED[block] = true REACHED[#REACHED + 1] = block end end "
)
_ANSWER = f"if ARGV[1] == '{QUESTION}' then return REACHED end reached('%s') "


@cache
def marked_scripts() -> dict[str, ScriptSource]:
    """Return all scripts of lua/ with their marks."""
    texts = {name: marked(name, text) for name, text in read_texts().items()}
    made = {}
    for name in texts:
        if not name.startswith("_"):
            source = assemble(name, texts)
            made[name] = ScriptSource(_NOTE + source.prelude, _ANSWER % f"{name}.lua:1" + source.body)
    return made


@cache
def all_blocks() -> tuple[str, ...]:
    """Return the names of all blocks, file:line, in order; a script's own first lines are its block 1."""
    blocks = []
    for name, text in sorted(read_texts().items()):
        if not name.startswith("_"):
            blocks.append(f"{name}.lua:1")
        blocks += re.findall(r"reached\('([^']+)'\)", marked(name, text))
    return tuple(blocks)


def marked(name: str, text: str) -> str:
    """Return the Lua `text` of the file `name` with a mark at the start of each block."""
    lines = []
    for number, line in enumerate(text.split("\n"), 1):
        plain = _HIDDEN.sub(lambda hidden: " " * len(hidden[0]), line)
        ends = [match.end() for match in _BLOCK.finditer(plain)]
        for nth in range(len(ends), 0, -1):
            block = f"{name}.lua:{number}" + (f".{nth}" if len(ends) > 1 else "")
            line = f"{line[: ends[nth - 1]]} reached('{block}') {line[ends[nth - 1] :]}"
        lines.append(line)
    return "\n".join(lines)


def blocks_run(store: SimStore, scripts: Mapping[str, Any]) -> list[str]:
    """Return the executed blocks of `scripts` in `store`, which must have loaded the marked ones."""
    answers = store.run_now([ScriptCall(name, [QUESTION]) for name in sorted(scripts)])
    return sorted({block for answer in answers for block in answer})
