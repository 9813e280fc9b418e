"""Any text in a file, in the environment or in an option gives settings, or one line with the error."""

from __future__ import annotations

import datetime
import json
import math
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voxpool.scheduler.cli import main
from voxpool.scheduler.config import Settings, ms
from voxpool.scheduler.config_sources import load
from voxpool.scheduler.errors import ConfigError

NAMES = [field.name for field in msgspec.structs.fields(Settings)]
EDGES = [0, -1, 1, 65536, 2**31, 2**63, 2**64, 10**400, 0.5, -0.0, 1e308, 5e-324, math.nan, math.inf, -math.inf]
NUMBERS = st.one_of(st.sampled_from(EDGES), st.integers(), st.floats())
TEXTS = st.one_of(
    st.text(max_size=20), st.sampled_from(["", "\n", "a\nb", "\x1b[31m", "redis://", "true", "1e9", "x" * 9999])
)
SCALARS = st.one_of(NUMBERS, TEXTS, st.booleans(), st.datetimes(), st.dates(), st.times())
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=5,
)
KEYS = st.one_of(
    st.sampled_from(NAMES), st.sampled_from(NAMES), st.sampled_from(["prot", "retention", "a.b", "A"]), TEXTS
)
ODD_FILES = [
    b"",
    b"\xff\xfe",
    b"\xef\xbb\xbfport = 1",
    b"port",
    b"port = 1\nport = 2",
    b"[port]\na = 1",
    b"port = 1" + b"0" * 5000,
    b"port = " + b"[" * 5000,
    b"port = " + b"[" * 5000 + b"]" * 5000,
    b"a." * 5000 + b"b = 1",
    b"port = 1e999999999",
    b"\0",
    b'"a\\nb" = 1',
    b"port = 0x" + b"f" * 5000,
]
quick = settings(
    max_examples=60,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def toml(value: Any) -> str:
    """Return `value` as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value.replace("\x7f", "")).encode("utf-8", "replace").decode()
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(one)}" for key, one in value.items()) + "}"
    return str(value) if abs(value) < 10**4000 else "1"


def reported(file: Path | None, environment: dict[str, str], flags: dict[str, Any]) -> str:
    """Return the error, one printable line; '' when the settings are valid."""
    try:
        found = load(file, environment, flags)
    except ConfigError as error:
        line = str(error)
        assert line.isprintable() and len(line) < 1000, line
        assert line.split(":")[0] in (str(file), "environment", "command line"), line
        return line
    for name in NAMES:
        value = getattr(found, name)
        assert not isinstance(value, float) or math.isfinite(value)
        if name.endswith("_s") and isinstance(value, float):
            assert ms(value) < 2**53, f"{name} = {value} is no time that a timer or a script can be given"
        assert not isinstance(value, int) or abs(value) < 2**53, f"{name} = {value} is no number for a script"
    return ""


@quick
@given(values=st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_file(tmp_path: Path, values: dict[str, Any]) -> None:
    file = tmp_path / "voxpool.toml"
    file.write_text("\n".join(f"{toml(key)} = {toml(value)}" for key, value in values.items()), encoding="utf-8")
    line = reported(file, {}, {})
    assert line or not set(values) - set(NAMES)


@quick
@given(data=st.one_of(st.binary(max_size=100), st.sampled_from(ODD_FILES), st.text(max_size=100).map(str.encode)))
def test_any_bytes(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "voxpool.toml"
    file.write_bytes(data)
    reported(file, {}, {})


@pytest.mark.parametrize("data", ODD_FILES, ids=range(len(ODD_FILES)))
def test_odd_files(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "voxpool.toml"
    file.write_bytes(data)
    assert reported(file, {}, {}) or data == b""


@quick
@given(values=st.dictionaries(KEYS, TEXTS, max_size=3))
def test_any_environment(values: dict[str, str]) -> None:
    reported(None, {f"VOXPOOL_{key.upper()}": value for key, value in values.items()}, {})


@quick
@given(values=st.dictionaries(st.sampled_from(NAMES), SCALARS, max_size=3))
def test_any_options(values: dict[str, Any]) -> None:
    reported(None, {}, values)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--port", "many"),
        ("--port", "1" * 5000),
        ("--port", "70000"),
        ("--retention-s", "nan"),
        ("--lease-s", "1"),
        ("--prot", "1"),
        ("--port",),
        ("--config", "/nowhere/voxpool.toml"),
        ("--config", "/"),
        ("--config", "a\nb"),
        ("--log-level", "loud"),
        ("--retention-s", "a\nb"),
        ("two", "words"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    monkeypatch.setattr(sys, "argv", ["voxpool", "serve", "--print-config", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    message = capsys.readouterr()
    assert (end.value.code, message.out) == (3, "")
    assert message.err.startswith("voxpool") and message.err.endswith("\n") and message.err[:-1].isprintable(), (
        message.err
    )
