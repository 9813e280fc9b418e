"""Reads settings from a TOML file, then VOXPOOL_… of the environment, then flags; the later wins.

config.py defines the settings. An error in a source becomes one ConfigError that names the source, the
key, the value and what is allowed.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from voxpool.scheduler.config import Settings
from voxpool.scheduler.config_groups import GROUPS, OTHER, group_of
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.sentences import nearest
from voxpool.scheduler.small_file import read_toml

PREFIX = "VOXPOOL_"
_NO_SETTINGS = ("CONFIG", "URL", "TOKEN", "CA_FILE", "NODE_ID", "STATE_DIR", "LOG_LEVEL")
NOT_SETTINGS = frozenset(f"{PREFIX}{name}" for name in _NO_SETTINGS)
"""Variables of the environment that the command line and the SDK read themselves."""
_ALL_SHOWN = "voxpool serve --print-config shows all"
SHOWN_MAX = 120
"""The number of characters of a value that an error repeats."""
LISTS = (tuple[str, ...],)
"""Types of settings that are a list in a file, and one text with commas in the environment and as a flag."""
_TYPES = get_type_hints(Settings)
_ANNOTATIONS = get_type_hints(Settings, include_extras=True)
"""Setting -> its type, and the same with its bounds; evaluated once, since it takes milliseconds."""


def load(file: Path | None, environment: Mapping[str, str], flags: Mapping[str, Any]) -> Settings:
    """Return the settings of `file` (TOML), `environment` (VOXPOOL_PORT, …) and `flags` (None = not given).

    Raises ConfigError.
    """
    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    sources: list[tuple[str, dict[str, Any]]] = [
        (str(file), {} if file is None else read_toml(file)),
        ("environment", _read_environment(environment)),
        ("command line", {key: value for key, value in flags.items() if value is not None}),
    ]
    for name, found in sources:
        for key, value in found.items():
            values[key] = _convert(name, key, value)
            origin[key] = name
    _check_together(values, origin)
    return Settings(**values)


def as_toml(settings: Settings) -> str:
    """Return all settings as TOML that `load` reads, each with its reason, unit, bounds and default."""
    lines = ["# voxpool: all settings; the comments give reason, unit, bounds and default."]
    group = ""
    for field in _by_group():
        if group_of(field.name) != group:
            group = group_of(field.name)
            lines += ["", "", f"# ---- {group}"]
        meta = _meta(field.name)
        unit = (meta.extra or {}).get("unit", "") if meta else ""
        facts = [f"unit: {unit}"] if unit else []
        facts += [f"bounds: {_bounds(meta)}"] if _bounds(meta) else []
        facts += [f"default: {_toml(field.default)}"]
        reason = meta.description if meta and meta.description else ""
        lines += ["", *textwrap.wrap(reason, 108, initial_indent="# ", subsequent_indent="# ")]
        lines += [f"# {', '.join(facts)}", f"{field.name} = {_toml(getattr(settings, field.name))}"]
    return "\n".join(lines) + "\n"


def flag_types() -> list[tuple[str, str, type, str]]:
    """Return (flag, setting, type, help) of each setting, for a command line's options, by group."""
    flags = []
    for field in _by_group():
        meta = _meta(field.name)
        reason = meta.description if meta and meta.description else ""
        flag = f"--{field.name.replace('_', '-')}"
        kind = str if _TYPES[field.name] in LISTS else _TYPES[field.name]
        flags.append((flag, field.name, kind, f"{reason}  [default: {_shown(field.default)}]"))
    return flags


def _by_group() -> list[msgspec.structs.FieldInfo]:
    groups = [*GROUPS, OTHER]
    return sorted(msgspec.structs.fields(Settings), key=lambda field: groups.index(group_of(field.name)))


def _read_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    return {
        name.removeprefix(PREFIX).lower(): text
        for name, text in sorted(environment.items())
        if name.startswith(PREFIX) and name not in NOT_SETTINGS
    }


def _convert(source: str, key: str, value: Any) -> Any:
    if key not in _TYPES:
        shown = PREFIX + key.upper() if source == "environment" else key
        raise ConfigError(f"{source}: unknown setting {_word(shown)}; {nearest(key, _TYPES, _ALL_SHOWN)}")
    kind = _ANNOTATIONS[key]
    if _TYPES[key] in LISTS and isinstance(value, str):
        value = [one.strip() for one in value.split(",") if one.strip()]
    try:
        # Only the environment's texts may mean numbers; files and flags have types.
        converted = msgspec.convert(value, kind, strict=source != "environment")
    except (msgspec.ValidationError, OverflowError):
        raise ConfigError(f"{source}: {key} = {_value(value)} {_must_be(key)}") from None
    if isinstance(converted, float) and not math.isfinite(converted):
        raise ConfigError(f"{source}: {key} = {_value(value)} {_must_be(key)}")
    return converted


def _word(text: str) -> str:
    """Return `text` as it can stand in one line on a terminal."""
    shown = text if text.isprintable() else repr(text)
    return shown if len(shown) <= SHOWN_MAX else f"{shown[:SHOWN_MAX]}…"


def _value(value: Any) -> str:
    try:
        return _word(repr(value))
    except (ValueError, RecursionError):  # more digits than Python wants to write
        return f"a very large {type(value).__name__}"


def _check_together(values: Mapping[str, Any], origin: Mapping[str, str]) -> None:
    """Find two settings that contradict each other."""

    def both(first: str, second: str) -> tuple[float, float, str]:
        where = origin.get(first) or origin.get(second) or "defaults"
        defaults = Settings()
        one, two = (values.get(key, getattr(defaults, key)) for key in (first, second))
        return one, two, f"{where}: {first} = {one:g} and {second} = {two:g}"

    lease_s, heartbeat_s, names = both("lease_s", "heartbeat_s")
    if lease_s <= heartbeat_s:
        raise ConfigError(f"{names}: a lease must be longer than a beat, or every node counts as dead (usual: 3 beats)")
    one, total, names = both("audio_bytes_max", "audio_total_bytes_max")
    if one > total:
        raise ConfigError(f"{names}: the audio of one job must fit into that of all")
    one, incoming, names = both("audio_bytes_max", "incoming_bytes_max")
    if 2 * one > incoming:
        raise ConfigError(f"{names}: there must be room for the audio of one job as base64, twice the bytes")
    one, buffer, names = both("audio_bytes_max", "send_buffer_bytes_max")
    if 2 * one > buffer:
        raise ConfigError(f"{names}: the buffer must have room for the audio of one job as base64, twice the bytes")
    if bool(values.get("tls_cert")) != bool(values.get("tls_key")):
        given, missing = ("tls_cert", "tls_key") if values.get("tls_cert") else ("tls_key", "tls_cert")
        raise ConfigError(f"{origin[given]}: {given} is set and {missing} is not: TLS needs both")


def _meta(key: str) -> msgspec.Meta | None:
    arguments = get_args(_ANNOTATIONS[key])
    return next((one for one in arguments if isinstance(one, msgspec.Meta)), None)


def _must_be(key: str) -> str:
    kind = _TYPES[key]
    words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    examples = "speech.example.org,10.0.0.5" if key == "hosts" else "https://speech.example.org,http://127.0.0.1:8080"
    words |= dict.fromkeys(LISTS, f"a list such as {examples}")
    word = words.get(kind, str(kind))
    bounds = _bounds(_meta(key))
    return f"must be {word}" + (f" {bounds}" if bounds else "")


def _bounds(meta: msgspec.Meta | None) -> str:
    if meta is None:
        return ""
    words = [(meta.ge, ">="), (meta.gt, ">"), (meta.le, "<="), (meta.lt, "<")]
    return " and ".join(f"{sign} {bound:g}" for bound, sign in words if bound is not None)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        return msgspec.json.encode(value).decode()  # JSON's strings are basic strings of TOML
    return repr(value)


def _shown(value: Any) -> str:
    """Return a default in the form of a flag."""
    return (",".join(value) if isinstance(value, tuple) else str(value)) or "none"
