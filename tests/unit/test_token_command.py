"""`voxpool token`: the secret is printed once on standard output, and its hash is written into the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from voxpool.scheduler.cli.root import cli
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.security.caller import Caller, Role
from voxpool.scheduler.security.tokens import digest_of, parse_tokens, read_tokens


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(cli, ["token", *arguments])


def test_standard_output_has_the_secret_only(tmp_path: Path) -> None:
    """TOKEN=$(voxpool token …) gets it; the next steps are on standard error."""
    file = tmp_path / "tokens.toml"
    made = run("ann", "--role", "client", "--rate-per-s", "2.5", "--access-file", str(file))
    secret = made.stdout.removesuffix("\n")
    assert made.exit_code == 0 and secret.startswith("vxp_") and "\n" not in secret
    assert secret not in made.stderr and "SIGHUP" in made.stderr
    assert read_tokens(file).find(secret) == Caller("ann", Role.CLIENT, 2.5, digest_of(secret))


def test_without_a_file_the_lines_to_add_are_shown() -> None:
    made = run("ann", "--role", "node")
    secret = made.stdout.strip()
    entry = made.stderr[made.stderr.index("[[tokens]]") :]
    assert parse_tokens(Path("pasted"), entry.encode()).find(secret) == Caller(
        "ann", Role.NODE, None, digest_of(secret)
    )


def test_the_file_may_be_that_of_the_setting(tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    for name in ("a", "b"):
        assert run(name, "--role", "metrics", VOXPOOL_ACCESS_FILE=str(file)).exit_code == 0
    assert len(read_tokens(file)) == 2


def test_the_json_output_is_one_object(tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    shown = json.loads(run("ann", "--role", "admin", "--access-file", str(file), "--json").stdout)
    assert shown == {
        "name": "ann",
        "role": "admin",
        "file": str(file),
        "token": shown["token"],
        "sha256": digest_of(shown["token"]),
    }


RATE = ["ann", "--role", "client", "--rate-per-s"]


@pytest.mark.parametrize("arguments", [["ann"], ["--role", "client"], ["ann", "--role", "boss"], [*RATE, "x"], RATE])
def test_missing_or_unknown_arguments_are_usage_errors(arguments: list[str]) -> None:
    made = run(*arguments)
    assert made.exit_code == 2 and made.stdout == "", "run_commands makes it 3"


def test_a_name_with_another_role_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    run("ann", "--role", "client", "--access-file", str(file))
    before = file.read_text()
    made = run("ann", "--role", "admin", "--access-file", str(file))
    assert isinstance(made.exception, ConfigError) and "two roles" in str(made.exception)
    assert made.stdout == "" and file.read_text() == before
