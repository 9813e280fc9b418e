"""The block of docs/reference/http.md, and docs/reference/openapi.json:

the HTTP interface as the scheduler describes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from reference.blocks import Generator, table
from voxpool.scheduler.config import Settings
from voxpool.scheduler.web.openapi.document import document
from voxpool.scheduler.web.openapi.operations import operations


def openapi() -> str:
    """Return the document that a scheduler with tokens and default settings serves."""
    return json.dumps(_document(), indent=1) + "\n"


def _document() -> dict[str, Any]:
    return document(operations(Settings()), secured=True)


def http() -> str:
    """Return each operation with its parameters and responses."""
    return "\n\n".join(_operations())


def _operations() -> Iterator[str]:
    for path, methods in _document()["paths"].items():
        for method, operation in methods.items():
            yield f"## {method.upper()} {path}"
            yield operation["description"]
            if "parameters" in operation:
                yield table(("parameter", "in", "type", "meaning"), map(_parameter, operation["parameters"]))
            if "requestBody" in operation:
                yield "Body: " + ", ".join(f"`{kind}`" for kind in operation["requestBody"]["content"]) + "."
            answers = [(str(status), answer["description"]) for status, answer in operation["responses"].items()]
            yield table(("status", "answer, or reasons"), answers)


def _parameter(parameter: dict[str, Any]) -> tuple[str, ...]:
    schema = parameter["schema"]
    kind = schema.get("type", "any")
    if "enum" in schema:
        kind = " or ".join(f"`{word}`" for word in schema["enum"])
    bounds = [f"{word} {schema[key]}" for key, word in (("minimum", "≥"), ("maximum", "≤")) if key in schema]
    needed = " **required**" if parameter.get("required") else ""
    return f"`{parameter['name']}`", parameter["in"], ", ".join([kind, *bounds]) + needed, parameter["description"]


def generators() -> dict[str, Generator]:
    """Return the generator of each block."""
    return {"http": http}
