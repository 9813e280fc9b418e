"""The reference of scenario files: every key has a text, and schema and template agree with the parser."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from reference.scenario import TABLES, schema, undocumented
from voxpool.scheduler.errors import ConfigError
from voxpool.sim.cli.new_scenario import TEMPLATE, write_new
from voxpool.sim.cli.play import SCENARIOS
from voxpool.sim.scenario.scenario import parse_scenario

TEXT = TEMPLATE.read_text()
OPTIONAL = re.compile(r"^# (?=[a-z_]+ +=|\[)", re.MULTILINE)
VALIDATOR = jsonschema_rs.Draft202012Validator(json.loads(schema()))


def wrong_in(table: dict[str, Any]) -> list[str]:
    """Return the errors of a scenario according to the schema."""
    return [error.message for error in VALIDATOR.iter_errors(table)]


def test_every_key_has_a_text() -> None:
    assert undocumented() == []


@pytest.mark.parametrize("text", [TEXT, OPTIONAL.sub("", TEXT)], ids=["as it is", "with all options"])
def test_the_template_is_a_scenario(text: str) -> None:
    table = tomllib.loads(text)
    assert parse_scenario(table, "template").name == "my-scenario"
    assert wrong_in(table) == []


def test_the_template_has_every_key() -> None:
    table = tomllib.loads(OPTIONAL.sub("", TEXT))
    for name, record in TABLES.items():
        part: Any = table[name.strip("[]")] if name else table
        keys = {key for item in part for key in item} if isinstance(part, list) else set(part)
        assert keys == set(record.__struct_fields__), name


@pytest.mark.parametrize("file", sorted(SCENARIOS.glob("*.toml")), ids=lambda file: file.stem)
def test_the_schema_accepts_the_packaged_scenarios(file: Path) -> None:
    assert wrong_in(tomllib.loads(file.read_text())) == []


@pytest.mark.parametrize(
    "more",
    [{"nodez": []}, {"settings": {"prot": 1}}, {"faults": [{"kind": "sulk", "per_target_per_h": 1}]}, {"seed": -1}],
)
def test_the_schema_rejects_what_the_parser_rejects(more: dict[str, Any]) -> None:
    table = {"name": "odd", "duration_s": 1} | more
    assert wrong_in(table) != []
    with pytest.raises(ConfigError):
        parse_scenario(table, "odd")


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    write_new(file)
    assert file.read_text() == TEXT
    file.write_text("mine")
    with pytest.raises(ConfigError, match="exists already"):
        write_new(file)
    assert file.read_text() == "mine"
