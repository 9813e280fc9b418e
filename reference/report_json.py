"""The blocks of docs/reference/report-json.md: the JSON of reports of the simulation and of load runs."""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec

from reference.attribute_docs import field_texts
from reference.blocks import Generator, table
from voxpool.loadtest.report import _records
from voxpool.loadtest.report._records import LoadReport
from voxpool.sim.report.report import Line, Report, Table

SIMULATED: dict[str, str] = {
    "experiment": "the experiment, or the scenario of a run",
    "question": "what it asks",
    "seed": "the seed",
    "options": "the options of the command, by name",
    "verdict": "`holds`, `broken` or `unclear`",
    "exit_code": "0, 1 or 2",
    "versions": "the versions of voxpool, Python and what the figures depend on",
    "unproven": "sentences: why the run proves nothing",
    "checks": "each demand: `name`, `ok`, `figure`, `limit`, and `not_checked` where it was skipped",
    "variants": "every figure of each side, `with` and `without` the fix, by name",
    "lines": "the table of the report: `row` (the finding), `name`, `unit`, `without`, `with`, `limit`, `shows` …",
    "tables": "further tables for people: `title`, `columns`, `rows`",
    "notes": "sentences for people",
}
"""Keys of a report of the simulation, in their order; an experiment may add more after them."""
_REF = "#/$defs/{name}"


def simulated() -> str:
    """Return the keys of a report of the simulation. Raises ValueError when the source has others."""
    line = Line("M1", "jobs left", "", 3, 0, "== 0", "> 1")
    report = Report("leak", "Do jobs stay?", 1, {}, [line], {"with": {}}, tables=[Table("", ["a"], [["b"]])])
    found = list(report.as_dict())
    if found != list(SIMULATED):
        raise ValueError(
            f"reference/report_json.py: a report has the keys {found}, and {list(SIMULATED)} are explained"
        )
    return table(("key", "content"), [(f"`{name}`", text) for name, text in SIMULATED.items()])


def loaded() -> str:
    """Return the keys of a report of a load run, and those of its parts."""
    return "\n\n".join(_records_of_a_load_run())


def _records_of_a_load_run() -> Iterator[str]:
    _, parts = msgspec.json.schema_components([LoadReport], ref_template=_REF)
    own = {name: cls for name, cls in vars(_records).items() if isinstance(cls, type) and name in parts}
    for name in dict.fromkeys([LoadReport.__name__, *own]):
        cls = own[name]
        if cls.__module__ != LoadReport.__module__:
            continue
        yield f"### {name}"
        yield " ".join((cls.__doc__ or "").split())
        texts = field_texts(cls)
        fields = parts[name]["properties"].items()
        yield table(
            ("key", "type", "meaning"), [(f"`{key}`", _kind(schema), texts.get(key, "")) for key, schema in fields]
        )


def _kind(schema: dict[str, object]) -> str:
    match schema:
        case {"anyOf": list(kinds)}:
            return " or ".join(dict.fromkeys(_kind(kind) for kind in kinds))
        case {"$ref": str(reference)}:
            return reference.rpartition("/")[2]
        case {"enum": list(words)}:
            return " or ".join(f"`{json.dumps(word)}`" for word in words)
        case {"type": "array", "items": dict(items)}:
            return f"list of {_kind(items)}"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"object of {_kind(values)}"
        case {"type": str(kind)}:
            return kind
    return "any"


def schema() -> str:
    """Return the JSON Schema of a report of a load run."""
    [top], parts = msgspec.json.schema_components([LoadReport], ref_template=_REF)
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A report of a load run", **top}
    return json.dumps(whole | {"$defs": parts}, indent=1) + "\n"


def generators() -> dict[str, Generator]:
    """Return the generator of each block."""
    return {"report of a simulation": simulated, "report of a load run": loaded}
