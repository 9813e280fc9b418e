"""Mutants of Python files: the operators of mutmut, applied one by one to the text of a file.

mutmut's own runner isn't used: it knows no Lua, and no order of tests by what they have killed so far.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import libcst as cst
from libcst._nodes.internal import CodegenState
from mutmut.mutation.file_mutation import Mutation, create_mutations

from mutation.mutant import Candidate, Mutant, changed_lines


def python_candidates(root: Path, path: str) -> Iterator[Candidate]:
    """Yield the candidates of `path` under `root`: the changes in functions, as mutmut makes them."""
    text = (root / path).read_text(encoding="utf-8")
    module, mutations, _, _ = create_mutations(path, text)
    numbers: Counter[str] = Counter()
    for mutation in mutations:
        function = mutation.contained_by_top_level_function
        if function is None:
            continue
        name = function.name.value if isinstance(function, cst.FunctionDef) else ""
        numbers[name] += 1
        yield Candidate(path, f"{name} {numbers[name]}", partial(_mutant, path, text, module, mutation))


def _mutant(path: str, text: str, module: cst.Module, mutation: Mutation) -> Mutant | None:
    source = _source(text, module, mutation)
    if source == text or not _compiles(source, path):
        return None
    line, before, after = changed_lines(text, source)
    return Mutant(path, line, type(mutation.original_node).__name__, before, after, source)


def _source(text: str, module: cst.Module, mutation: Mutation) -> str:
    """Return `text` with the mutation. Where possible only its function is written anew, in a tenth of the time."""
    function = mutation.contained_by_top_level_function
    if function is not None and function is not mutation.original_node:
        changed = function.deep_replace(mutation.original_node, mutation.mutated_node)
        for depth in (0, 1):
            before = _code(module, function, depth)
            if text.count(before) == 1 and isinstance(changed, cst.CSTNode):
                return text.replace(before, _code(module, changed, depth))
    mutated = module.deep_replace(mutation.original_node, mutation.mutated_node)
    assert isinstance(mutated, cst.Module)  # only a node inside was replaced
    return mutated.code


def _code(module: cst.Module, node: cst.CSTNode, depth: int) -> str:
    indents = [module.default_indent] * depth
    state = CodegenState(module.default_indent, module.default_newline, indent_tokens=indents)
    node._codegen(state)
    return "".join(state.tokens)


def _compiles(source: str, path: str) -> bool:
    try:
        compile(source, path, "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True
