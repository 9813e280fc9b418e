"""The blocks of docs/reference/scenario.md and its JSON Schema: the keys that a scenario file may have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import msgspec

from reference.attribute_docs import field_texts
from reference.blocks import Generator, table
from voxpool.scheduler.config import Settings
from voxpool.sim.chance.distributions import Distribution
from voxpool.sim.cli.new_scenario import TEMPLATE
from voxpool.sim.faults import FAULTS, faults_of
from voxpool.sim.faults.wire import WIRE_FAULTS
from voxpool.sim.scenario import scenario
from voxpool.sim.scenario.expect import FIGURES, KEY_FIGURE, FigureOf

TABLES: dict[str, type[msgspec.Struct]] = {
    "": scenario.Scenario,
    "[links]": scenario.Links,
    "[store]": scenario.StoreDelay,
    "[service]": scenario.Service,
    "[loop]": scenario.Loop,
    "[[nodes]]": scenario.Nodes,
    "[[traffic]]": scenario.Traffic,
    "[[faults]]": scenario.Fault,
}
DISTRIBUTIONS: tuple[type[msgspec.Struct], ...] = get_args(Distribution)
_REF = "#/$defs/{name}"


def tables() -> str:
    """Return the keys of each table."""
    return "\n\n".join(_tables())


def _tables() -> Iterator[str]:
    for name, record in TABLES.items():
        yield f"### {name or 'The top of the file'}"
        yield " ".join((record.__doc__ or "").split())
        yield _keys(record)


def _keys(record: type[msgspec.Struct]) -> str:
    schema = msgspec.json.schema(record, ref_template=_REF)["$defs"][record.__name__]
    texts = field_texts(record)
    rows = []
    for field in msgspec.structs.fields(record):
        default = "**required**" if field.required else _default(field)
        rows.append((f"`{field.name}`", _kind(schema["properties"][field.name]), default, texts[field.name]))
    return table(("key", "type", "when absent", "meaning"), rows)


def _default(field: msgspec.structs.FieldInfo) -> str:
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    if value is None or isinstance(value, msgspec.Struct):
        return ""
    return f"`{json.dumps(value)}`"


def _kind(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        kinds = [_kind(one) for one in schema["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return "distribution" if name in {cls.__name__ for cls in DISTRIBUTIONS} else "table"
    if "enum" in schema:
        return " or ".join(f'`"{word}"`' for word in schema["enum"])
    if schema.get("type") == "array":
        items = schema.get("items") or {}
        return (
            f"list of {len(schema['prefixItems'])} numbers" if "prefixItems" in schema else f"list of {_kind(items)}s"
        )
    kind = {"number": "number", "integer": "integer", "string": "text", "boolean": "true or false", "object": "table"}
    signs = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"))
    bounds = [f"{sign} {schema[key]:g}" for key, sign in signs if key in schema]
    return ", ".join([kind[schema["type"]], *bounds])


def distributions() -> str:
    """Return each distribution with its keys."""
    rows = []
    for cls in DISTRIBUTIONS:
        texts = field_texts(cls)
        keys = ", ".join(f"`{field.name}`" for field in msgspec.structs.fields(cls) if field.name in texts)
        rows.append((f"`{cls.__struct_config__.tag}`", keys, " ".join((cls.__doc__ or "").split())))
    return table(("dist", "keys", "meaning"), rows)


def faults() -> str:
    """Return each kind of fault with its effect."""
    rows = [(f"`{name}`", _what(name), _ends_of(name)) for name in FAULTS | WIRE_FAULTS]
    return table(("kind", "what happens", "ends"), rows)


def _what(kind: str) -> str:
    """Return what a fault of `kind` does, for each value of `ends` where they differ."""
    texts = {ends: faults_of(ends)[kind].what for ends in ("model", "wire") if kind in faults_of(ends)}
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return "; ".join(f"{ends}: {text}" for ends, text in texts.items())


def _ends_of(kind: str) -> str:
    """Return the values of `ends` with which a scenario may have faults of `kind`."""
    return ", ".join(ends for ends in ("model", "wire") if kind in faults_of(ends))


def figures() -> str:
    """Return the figures that [expect] may name."""
    rows = [(f"`{name}`", _units(figure)) for name, figure in FIGURES.items() if figure.simulated]
    return table(("figure", "units of its limit"), rows)


def _units(figure: FigureOf) -> str:
    return ", ".join(unit or "none" for unit in figure.units)


def template() -> str:
    """Return the file that `voxpool-sim scenario --new` writes."""
    return f"```toml\n{TEMPLATE.read_text(encoding='utf-8').strip()}\n```"


def schema() -> str:
    """Return the JSON Schema of a scenario file."""
    [top], parts = msgspec.json.schema_components([scenario.Scenario], ref_template=_REF)
    for cls in (*TABLES.values(), *DISTRIBUTIONS):
        for name, text in field_texts(cls).items():
            parts[cls.__name__]["properties"][name]["description"] = text
    [settings], more = msgspec.json.schema_components([Settings], ref_template=_REF)
    parts |= more
    parts[scenario.Scenario.__name__]["properties"]["settings"] |= settings | {"default": {}}
    parts[scenario.Fault.__name__]["properties"]["kind"]["enum"] = list(FAULTS | WIRE_FAULTS)
    parts[scenario.Scenario.__name__]["properties"]["expect"]["propertyNames"] = {
        "anyOf": [{"enum": list(FIGURES)}, {"pattern": f"^{KEY_FIGURE}$"}]
    }
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A scenario of voxpool", **top}
    text = json.dumps(whole | {"$defs": parts}, indent=1)
    return text.replace("\\\\Z", "$").replace("\\\\A", "^") + "\n"


def undocumented() -> list[str]:
    """Return the keys that have no text below them in the source."""
    return [
        f"{cls.__name__}.{name}"
        for cls in (*TABLES.values(), *DISTRIBUTIONS)
        for name in get_type_hints(cls)
        if not name.startswith("_") and name not in field_texts(cls)
    ]


def generators() -> dict[str, Generator]:
    """Return the generator of each block."""
    return {
        "tables of a scenario": tables,
        "distributions of a scenario": distributions,
        "faults of a scenario": faults,
        "figures of a scenario": figures,
        "a new scenario": template,
    }
