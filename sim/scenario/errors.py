"""Error messages for scenarios: the place, the key, the nearest known key, the accepted values."""

from __future__ import annotations

import functools
import math
import re
import types
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.sentences import MISSING, Wrong, nearest, wrong

NAME_FORM = "must be 1 to 80 of A-Z a-z 0-9 . _ - and blanks, and begin with none of the dots and blanks"


def check_keys(table: Any, kind: Any, place: str, at: str = "") -> None:
    """Raise ConfigError for the first key in `table` (and below) that the record `kind` doesn't have.

    In a union of records, the tag of the table selects the record.
    """
    if isinstance(table, dict):
        records = [member for member in _members(kind) if _is_record(member)]
        if records:
            _check_table(table, _pick(records, table, place, at), place, at)
    elif isinstance(table, list) and (inner := _item_type(kind)) is not None:
        for i, item in enumerate(table):
            check_keys(item, inner, place, f"{at}[{i}]")


def _pick(records: list[type[msgspec.Struct]], table: dict[str, Any], place: str, at: str) -> type[msgspec.Struct]:
    by_tag = {str(record.__struct_config__.tag): record for record in records}
    field = records[0].__struct_config__.tag_field
    if field is None:
        return records[0]
    if field not in table:
        raise ConfigError(f"{place}: {at} has no {field!r}: one of {', '.join(by_tag)}")
    if table[field] not in by_tag:
        raise ConfigError(f"{place}: {at}.{field} = {table[field]!r}: {nearest(str(table[field]), by_tag)}")
    return by_tag[table[field]]


def _check_table(table: dict[str, Any], struct: type[msgspec.Struct], place: str, at: str) -> None:
    tag = struct.__struct_config__.tag_field
    types_of = _types_of(struct)
    for key, value in table.items():
        if key == tag:
            continue
        if key not in types_of:
            where = f"{place}: {at}" if at else place
            raise ConfigError(f"{where} has no key {key!r}; {nearest(key, types_of)}")
        check_keys(value, types_of[key], place, f"{at}.{key}" if at else key)


@functools.cache
def _types_of(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Return key -> type of the tables of `struct`; evaluated once, since it takes milliseconds."""
    hints = get_type_hints(struct, include_extras=True)
    return {field.encode_name: hints[field.name] for field in msgspec.structs.fields(struct)}


def _members(kind: Any) -> list[Any]:
    if get_origin(kind) in (Union, types.UnionType):
        return [inner for member in get_args(kind) for inner in _members(member)]
    return [kind]


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _item_type(kind: Any) -> Any:
    origin = get_origin(kind)
    if origin is Annotated:
        return _item_type(get_args(kind)[0])
    if origin is list:
        return get_args(kind)[0]
    return None


def check_numbers(table: Any, place: str, at: str = "") -> None:
    """Raise ConfigError for a number that is not finite: TOML knows inf and nan."""
    if isinstance(table, dict):
        for key, value in table.items():
            check_numbers(value, place, f"{at}.{key}" if at else key)
    elif isinstance(table, list):
        for i, value in enumerate(table):
            check_numbers(value, place, f"{at}[{i}]")
    elif isinstance(table, float) and not math.isfinite(table):
        raise ConfigError(f"{place}: {at} = {table}: must be a finite number")


def explain(error: msgspec.ValidationError, table: Any, place: str) -> str:
    """Return one line for an error that msgspec found in `table`."""
    found = wrong(error)
    if found.where == "name" and "regex" in str(error):
        found = Wrong("name", NAME_FORM)
    if found.text == MISSING:
        return f"{place}: {found.sentence}"
    return f"{place}: {found.where} = {_value_at(table, found.where)!r}: {found.text}"


def _value_at(table: Any, where: str) -> Any:
    for step in re.findall(r"[^.\[\]]+", where):
        try:
            table = table[int(step)] if isinstance(table, list) else table[step]
        except (KeyError, IndexError, ValueError, TypeError):
            return "…"
    return table
