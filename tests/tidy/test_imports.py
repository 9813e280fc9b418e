"""Modules import each other in one direction. The layers are contracts of import-linter (pyproject.toml)."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

import grimp


def cycle_of(imports: Mapping[str, set[str]]) -> list[str]:
    """Return the modules of one cycle of `imports` (module -> modules that it imports), or none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        return cycle
    return []


def test_there_are_no_import_cycles() -> None:
    """Imports inside functions count; imports for types alone (TYPE_CHECKING) don't."""
    graph = grimp.build_graph("voxpool", exclude_type_checking_imports=True)
    imports = {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}
    assert len(imports) > 500
    assert cycle_of(imports) == []


def test_a_cycle_is_found() -> None:
    assert set(cycle_of({"a": {"b"}, "b": {"c"}, "c": {"b"}})) == {"b", "c"}
