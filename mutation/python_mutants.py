"""Mutants of Python files: the operators of mutmut, applied one by one to the text of a file.

mutmut's own runner isn't used: it knows no Lua, and no order of tests by what they have killed so far.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import libcst as cst
from mutmut.mutation.file_mutation import create_mutations

from mutation.mutant import Mutant, changed_lines


def python_mutants(root: Path, path: str) -> Iterator[Mutant]:
    """Yield the mutants of `path` under `root`: those in functions, as mutmut runs them, each text once."""
    text = (root / path).read_text(encoding="utf-8")
    module, mutations, _, _ = create_mutations(path, text)
    seen = {text}
    for mutation in mutations:
        if mutation.contained_by_top_level_function is None:
            continue
        mutated = module.deep_replace(mutation.original_node, mutation.mutated_node)
        assert isinstance(mutated, cst.Module)  # only a node inside was replaced
        source = mutated.code
        if source in seen or not _compiles(source, path):
            continue
        seen.add(source)
        line, before, after = changed_lines(text, source)
        yield Mutant(path, line, type(mutation.original_node).__name__, before, after, source)


def _compiles(source: str, path: str) -> bool:
    try:
        compile(source, path, "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True
