"""The options of a load run: each is described and bounded, and an invalid value is one line that names the option."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from voxpool.leakgate.readings.series import Bound
from voxpool.loadtest.commands._cli import cli
from voxpool.loadtest.options._options import GROUPS, ON_THE_COMMAND_LINE, LoadOptions, read_options
from voxpool.loadtest.options._options_shown import add_options, described
from voxpool.scheduler.errors import ConfigError


class Parser(argparse.ArgumentParser):
    """A parser like Locust's, which reads environment variables."""

    def add_argument_group(self, *arguments: Any, **options: Any) -> Any:
        group = super().add_argument_group(*arguments, **options)
        add = group.add_argument

        def add_argument(*names: str, env_var: str, **form: Any) -> argparse.Action:
            action = add(*names, **form)
            action.env_var = env_var  # type: ignore[attr-defined]
            return action

        group.add_argument = add_argument  # type: ignore[method-assign, assignment]
        return group


@pytest.fixture
def parser() -> Parser:
    """One with all our options."""
    made = Parser()
    add_options(made)
    return made


def test_options_have_defaults(parser: Parser) -> None:
    assert read_options(vars(parser.parse_args([]))) == LoadOptions()


def test_each_option_has_a_description_a_variable_and_a_place_in_the_form(parser: Parser) -> None:
    names = {action.dest: action for action in parser._actions if action.dest != "help"}
    of_group = {option.name: option.group for option in described()}
    assert list(names) == list(LoadOptions.__struct_fields__)
    for name, action in names.items():
        assert action.help and action.help.endswith("."), name
        assert action.help.startswith(f"{of_group[name]}: "), "the page has no groups: each field names its own"
        assert action.env_var == "VOXPOOL_LOAD_" + name.upper()  # type: ignore[attr-defined]
        assert action.include_in_web_ui is (name not in ON_THE_COMMAND_LINE)  # type: ignore[attr-defined]
        assert action.is_secret is name.endswith("_token")  # type: ignore[attr-defined]
    assert {group.title for group in parser._action_groups} >= set(GROUPS.values())
    assert "%%" not in parser.format_help()


def test_the_values_of_the_page_form_are_parsed(parser: Parser) -> None:
    """The form sends text for numbers, and an empty text for an empty field."""
    form = {**vars(parser.parse_args([])), "slots": "3", "nodes": "", "rate_per_user": "0.25"}
    options = read_options(form)
    assert (options.slots, options.nodes, options.rate_per_user) == (3, -1, 0.25)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"slots": 0}, "--slots 0: must be at least 1"),
        ({"rate_per_user": 0.0}, "--rate-per-user 0.0: must be above 0"),
        ({"http_share": 1.5}, "--http-share 1.5: must be at most 1"),
        ({"shape": "wave"}, "--shape wave: must be one of steady, smoke, steps, spike, soak, big-pools, churn, chaos"),
        ({"memory": "maybe"}, "--memory maybe: must be one of watch, off"),
        ({"memory": "gate"}, "--memory gate: must be one of watch, off"),
        ({"gate": "memory", "memory": "off"}, "--gate memory needs the memory watch: leave out --memory off"),
        ({"audio_bytes": "much"}, "--audio-bytes much: must be a whole number, and is a text"),
        (
            {"bounded": "table results"},
            "--bounded table results: want NAME=N or NAME=N:BYTES, such as 'table app.cache=1000:80'",
        ),
        ({"pairs": "zh-en"}, "--pairs zh-en: `zh-en` is not a pair such as zh:en"),
        ({"pairs": " , "}, "--pairs: name at least one pair, such as zh:en"),
        (
            {"more_hosts": ["10.0.0.6:5010"]},
            "--more-hosts: needs URLs such as http://10.0.0.6:5010, and --host, not --with-scheduler",
        ),
        ({"expect": ["result.p9<1ms"]}, "--expect result.p9<1ms: result.p9: no such figure; did you mean result.p99?"),
        ({"expect": "rate>1/s; failures<1"}, "--expect failures<1: failures: limit '<1' has no unit: give one of %"),
        (
            {"expect": ["stale_allocations<1"]},
            "--expect stale_allocations<1: only a simulation has the figure stale_allocations",
        ),
        (
            {"expect": ["memory.rss<1GB"], "memory": "off"},
            "--expect memory.rss<1GB: there is no such figure with --memory off",
        ),
        ({"node_token": "@/no/such/file"}, "--node-token @/no/such/file: can't be read: No such file or directory"),
    ],
)
def test_an_invalid_value_is_one_line_that_names_the_option(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_options(given)
    assert str(refused.value) == says


def test_expectations_are_repeated_or_given_in_one_text(parser: Parser) -> None:
    """The form of the page, the environment and a file have one text for all of them."""
    given = parser.parse_args(["--expect", "rate>90/s", "--expect", "failures<1%; jobs.lost<1"])
    options = read_options(vars(given))
    assert options.expect == ["rate>90/s", "failures<1%", "jobs.lost<1"]
    assert read_options({"expect": "rate>90/s;failures<1% ; jobs.lost<1;"}) == options
    assert read_options({"expect": ""}).expect == read_options({"expect": [""]}).expect == []


def test_a_token_may_be_in_a_file_and_is_in_no_error(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("vxp_secret\n")
    assert read_options({"client_token": f"@{file}"}).client_token == "vxp_secret"
    with pytest.raises(ConfigError) as refused:
        read_options({"client_token": f"@{file}", "slots": 0})
    assert "vxp_secret" not in str(refused.value)


def test_big_pools_has_its_own_number_of_nodes_unless_one_is_given() -> None:
    assert (LoadOptions().node_users, LoadOptions(shape="big-pools").node_users) == (20, 1500)
    assert LoadOptions(shape="big-pools", nodes=0).node_users == 0


def test_bounds_of_counts_are_parsed_from_one_text() -> None:
    options = LoadOptions(bounded="table results._cache=1000:80; type dict=7;")
    assert options.bounds == {"table results._cache": Bound(1000, 80.0), "type dict": Bound(7, None)}


def test_pairs_may_be_a_number() -> None:
    options = LoadOptions(pairs_count=1200)
    assert len(set(options.pair_names)) == 1200
    assert read_options(msgspec.to_builtins(options)) == options


def test_a_command_lists_all_options() -> None:
    """Locust prints its --help before it loads a locustfile, so its help has none of them."""
    listed = CliRunner().invoke(cli, ["options"])
    assert listed.exit_code == 0
    for name in LoadOptions.__struct_fields__:
        assert f"--{name.replace('_', '-')}" in listed.output and f"[VOXPOOL_LOAD_{name.upper()}]" in listed.output
