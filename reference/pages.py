"""The list of generated texts: blocks in pages, and whole files."""

from __future__ import annotations

from pathlib import Path

from reference import asyncapi, commands, events, http, metrics, protocol, report_json, scenario, settings
from reference.blocks import Generator, filled

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FILES: dict[str, Generator] = {
    "reference/asyncapi.json": asyncapi.document,
    "reference/openapi.json": http.openapi,
    "reference/scenario.schema.json": scenario.schema,
    "reference/load-report.schema.json": report_json.schema,
}
"""File below docs/ -> the generators of its text."""


def generators() -> dict[str, Generator]:
    """Return the generator of each block."""
    parts = (protocol, settings, metrics, events, commands, http, scenario, report_json)
    return {name: generator for part in parts for name, generator in part.generators().items()}


def generated() -> dict[Path, str]:
    """Return every page with blocks and every generated file, with the text that it should have."""
    known = generators()
    pages = {path: filled(path.read_text(), known) for path in sorted(DOCS.rglob("*.md"))}
    return pages | {DOCS / name: generator() for name, generator in FILES.items()}


def outdated() -> dict[Path, str]:
    """Return the pages and files that differ from the disk."""
    return {path: text for path, text in generated().items() if not path.exists() or path.read_text() != text}
