"""Settings from a file, the environment and options: the later source wins, and an error is one line with its place."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from voxpool.scheduler.config import Settings
from voxpool.scheduler.config_groups import GROUPS, OTHER, group_of
from voxpool.scheduler.config_sources import NOT_SETTINGS, as_toml, flag_types, load
from voxpool.scheduler.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "voxpool.toml"


def test_options_override_the_environment_which_overrides_the_file(file: Path) -> None:
    file.write_text("port = 1\nretention_s = 1\njobs_max = 1\n")
    environment = {"VOXPOOL_PORT": "2", "VOXPOOL_RETENTION_S": "2.5", "HOME": "/"}
    settings = load(file, environment, {"port": 3, "host": None})
    assert (settings.port, settings.retention_s, settings.jobs_max) == (3, 2.5, 1)
    assert settings.host == Settings().host


def test_the_printed_settings_are_toml_with_the_same_values(file: Path) -> None:
    settings = load(None, {"VOXPOOL_STORE": 'redis://"quoted"\\:1'}, {"retention_s": 7})
    file.write_text(as_toml(settings))
    assert load(file, {}, {}) == settings
    assert set(tomllib.loads(file.read_text())) == {field.name for field in msgspec.structs.fields(Settings)}


def test_a_list_is_comma_separated_in_options_and_the_environment(file: Path) -> None:
    one, other = "https://speech.example.org", "http://[::1]:8080"
    file.write_text(f'origins = ["{one}", "{other}"]\n')
    assert load(file, {}, {}).origins == (one, other)
    assert load(None, {"VOXPOOL_ORIGINS": f"{one}, {other},"}, {}) == load(None, {}, {"origins": f"{one},{other}"})
    assert load(file, {"VOXPOOL_ORIGINS": ""}, {}).origins == ()
    file.write_text(as_toml(load(file, {}, {})))
    assert load(file, {}, {}).origins == (one, other)


@pytest.mark.parametrize("wrong", ["*", "null", "speech.example.org", "https://a.example/", "https://A.example"])
def test_an_origin_is_normalised_as_browsers_send_it(wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"command line: origins = .* must be a list such as https://"):
        load(None, {}, {"origins": wrong})


def test_each_setting_is_printed_with_its_reason_unit_bounds_and_default() -> None:
    text = as_toml(Settings())
    reason = "# how long a finished job can be asked for, from its end\n"
    assert f"{reason}# unit: s, bounds: >= 0 and <= 1e+09, default: 300.0\n" in text
    blocks = [block for block in text.split("\n\n")[1:] if not block.strip().startswith("# ----")]
    assert len(blocks) == len(msgspec.structs.fields(Settings))
    for block in blocks:
        reason, facts, _ = block.strip().rsplit("\n", 2)
        assert reason.startswith("# ") and "default: " in facts, block


def test_each_setting_has_an_option_with_its_reason() -> None:
    flags = {name: (kind, text) for _, name, kind, text in flag_types()}
    assert flags["port"][0] is int and flags["retention_s"][0] is float and flags["store"][0] is str
    assert all(len(text) > 20 for _, text in flags.values())
    names = {name: flag for flag, name, _, _ in flag_types()}
    assert (names["jobs_max"], names["access_file"]) == ("--jobs-max", "--access-file")


def test_variables_of_the_sdk_are_no_settings() -> None:
    """A scheduler started in an environment with a client's token neither fails nor prints it."""
    secret = "vxp_of-a-client"
    assert load(None, {"VOXPOOL_TOKEN": secret, "VOXPOOL_CA_FILE": "ca.pem", "VOXPOOL_URL": "x"}, {}) == Settings()


@pytest.mark.parametrize(
    ("text", "environment", "flags", "line"),
    [
        ("retention = 3", {}, {}, "{file}: unknown setting retention; did you mean retention_s?"),
        ("", {"VOXPOOL_PROT": "1"}, {}, "environment: unknown setting VOXPOOL_PROT; did you mean port?"),
        ("zzz = 3", {}, {}, "{file}: unknown setting zzz; voxpool serve --print-config shows all"),
        ('port = "x"', {}, {}, "{file}: port = 'x' must be a whole number >= 0 and <= 65535"),
        ("port = 1.5", {}, {}, "{file}: port = 1.5 must be a whole number >= 0 and <= 65535"),
        ("port = true", {}, {}, "{file}: port = True must be a whole number >= 0 and <= 65535"),
        (
            "",
            {"VOXPOOL_PORT": "many"},
            {},
            "environment: port = 'many' must be a whole number >= 0 and <= 65535",
        ),
        ("", {}, {"port": -1}, "command line: port = -1 must be a whole number >= 0 and <= 65535"),
        ("waiting_timeout_s = 0", {}, {}, "{file}: waiting_timeout_s = 0 must be a number > 0"),
        ("retention_s = inf", {}, {}, "{file}: retention_s = inf must be a number >= 0"),
        ("", {"VOXPOOL_RETENTION_S": "nan"}, {}, "environment: retention_s = 'nan' must be a number >= 0"),
        ("host = 5", {}, {}, "{file}: host = 5 must be a text"),
        ("lease_s = 3", {}, {}, "{file}: lease_s = 3 and heartbeat_s = 15: a lease must be longer than a beat"),
        ("audio_bytes_max = 4000000000", {}, {}, "the audio of one job must fit into that of all"),
        ("send_buffer_bytes_max = 65536", {}, {}, "the buffer must have room for the audio of one job"),
        ('tls_key = "k"', {}, {}, "{file}: tls_key is set and tls_cert is not: TLS needs both"),
        ('tls_key = "k"', {}, {"tls_cert": ""}, "{file}: tls_key is set and tls_cert is not: TLS needs both"),
        ("", {"VOXPOOL_TLS_CERT": "c"}, {}, "environment: tls_cert is set and tls_key is not: TLS needs both"),
        ("port = ", {}, {}, "{file}: is not TOML: "),
    ],
)
def test_invalid_settings_are_reported_in_one_line(
    file: Path, text: str, environment: dict[str, str], flags: dict[str, object], line: str
) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as wrong:
        load(file, environment, flags)
    message = str(wrong.value)
    assert line.format(file=file) in message and "\n" not in message


def test_a_file_that_cannot_be_read_is_named(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"voxpool\.toml: can't be read: No such file"):
        load(file, {}, {})
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"voxpool\.toml: is not text in UTF-8"):
        load(file, {}, {})


def test_variables_of_the_command_line_are_no_unknown_settings() -> None:
    """All commands share one environment: VOXPOOL_TOKEN must not keep `voxpool serve` from starting."""
    assert "VOXPOOL_TOKEN" in NOT_SETTINGS
    assert load(None, dict.fromkeys(NOT_SETTINGS, "x"), {}) == Settings()


def test_every_setting_is_in_one_group() -> None:
    """Help and --print-config show settings by group; add a new one to config_groups.py."""
    named = [name for names in GROUPS.values() for name in names]
    assert len(named) == len(set(named))
    assert [field.name for field in msgspec.structs.fields(Settings) if group_of(field.name) == OTHER] == []
