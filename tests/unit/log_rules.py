"""Rules of log lines, as checks that return violations: for source text, for lines, and for their bytes."""

from __future__ import annotations

import ast
import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any

from voxpool.scheduler.telemetry.logs.events import FIELDS, LEVELS, Event

HEAD = ("ts", "level", "event")


def calls(source: str, path: str = "?") -> dict[str, set[str]]:
    """Return event -> fields that occur with it; `**` stands for unknown fields."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse(source, path)):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Attribute):
            first = node.args[0]
            if isinstance(first.value, ast.Name) and first.value.id == "Event":
                fields = {keyword.arg or "**" for keyword in node.keywords}
                found.setdefault(first.attr, set()).update(fields, *map(_members, node.args[1:]))
    return found


def _members(text: ast.expr) -> set[str]:
    """Return the names of the members of the JSON object that `text` makes (Log.plain), or of a dict."""
    if isinstance(text, ast.Dict):
        return {str(key.value) for key in text.keys if isinstance(key, ast.Constant)}
    names = {node.args[0] for node in ast.walk(text) if isinstance(node, ast.Call) and len(node.args) == 2}
    constants = [node for node in ast.walk(text) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    found = {str(node.value) for node in constants if node in names}
    return found.union(*(re.findall(r'"(\w+)":', str(node.value)) for node in constants))


def differences(written: Mapping[str, set[str]], catalogued: Mapping[str, set[str]], known: Iterable[str]) -> list[str]:
    """Return the differences between code and catalogue: missing events and fields, fields without a meaning."""
    found = [f"{event}: is written, and not in the catalogue" for event in written.keys() - catalogued.keys()]
    found += [f"{event}: is in the catalogue, and nothing writes it" for event in catalogued.keys() - written.keys()]
    for event in written.keys() & catalogued.keys():
        found += [f"{event}: writes {field}, unknown to the catalogue" for field in written[event] - catalogued[event]]
        found += [f"{event}: nothing gives it {field}" for field in catalogued[event] - written[event]]
    used = set().union(*catalogued.values())
    found += [f"{field}: has no meaning" for field in used - set(known)]
    found += [f"{field}: has a meaning, and no event has it" for field in set(known) - used]
    return sorted(found)


def catalogue() -> dict[str, set[str]]:
    """Return event -> fields, as the catalogue has them."""
    return {event.name: set(event.fields) for event in Event}


def strange_lines(lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the `lines` that do not match the catalogue."""
    names = {number: name for name, number in LEVELS.items()}
    found = []
    for line in lines:
        if tuple(line)[:3] != HEAD:
            found.append(f"begins with {tuple(line)[:3]}")
        elif line["event"] not in [event.value for event in Event]:
            found.append(f"{line['event']}: unknown")
        else:
            event = next(event for event in Event if event.value == line["event"])
            unknown = set(line) - {*HEAD, *event.fields}
            if unknown or line["level"] != names[event.level]:
                found.append(f"{event.value} at {line['level']}: {sorted(unknown)}")
    assert FIELDS
    return found


def traces_of(payload: bytes, log: bytes) -> list[str]:
    """Return the encodings in which `payload` (at least 12 bytes of ASCII) occurs in `log`."""
    forms = {"as it is": payload, "hex": payload.hex().encode(), "reversed words": payload[::-1]}
    for shift in range(3):  # base64 of the payload after 0, 1 or 2 other bytes; its outermost letters depend on those
        encoded = base64.b64encode(b"\0" * shift + payload)
        forms[f"base64, shifted by {shift}"] = encoded[4 if shift else 0 : -4]
    return [form for form, text in forms.items() if text.lower() in log.lower()]
