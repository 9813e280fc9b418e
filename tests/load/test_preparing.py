"""Preparation of a test: the options that a page may change, -u and -r of the shape, the spawned crowd."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import msgspec
import pytest

from tests.load.fake_scheduler import GOOD, fake_scheduler
from voxpool.loadtest.options._options import ON_THE_COMMAND_LINE, LoadOptions
from voxpool.loadtest.running._part import Context
from voxpool.loadtest.running._preparing import Preparing
from voxpool.scheduler.errors import ConfigError

SCENARIO = """
name = "rush"
duration_s = 90
[[nodes]]
count = 4
pairs = ["zh:en"]
slots = 2
[[traffic]]
pair = "zh:en"
rate_per_s = 12.0
work_s = 0.1
"""


@pytest.fixture
def url() -> Iterator[str]:
    """The URL of a server that passes the checks before a load."""
    with fake_scheduler(GOOD) as where:
        yield where


def context(url: str, **given: Any) -> Context:
    """The context of a single process with two kinds of users, and the options `given` to Locust."""

    class Session:
        part: ClassVar[str] = "session"
        weight = fixed_count = 0
        tasks: ClassVar[list[object]] = [object()]

    class Node:
        part: ClassVar[str] = "node"
        weight = fixed_count = 0
        tasks: ClassVar[list[object]] = [object()]

    common: dict[str, bool | None] = dict.fromkeys(
        ("num_users", "spawn_rate", "run_time", "user_classes", "tags", "exclude_tags")
    )
    common |= {"headless": True, "autostart": False}
    parsed = Namespace(**{**msgspec.to_builtins(LoadOptions()), **common, **given})
    classes = {"SessionUser": Session, "NodeUser": Node}
    environment = SimpleNamespace(
        parsed_options=parsed, user_classes=list(classes.values()), available_user_classes=classes, host=url
    )
    return Context(environment, None, None, "local")


def test_a_page_changes_the_load_but_no_local_option(url: str, tmp_path: Path) -> None:
    """Locust sets every option that a form names.

    A token from a file, or an option of the process, must not come from there.
    """
    here = context(url, out=str(tmp_path))
    preparing = Preparing(here)
    preparing.fill_in()
    kept = {name: getattr(here.options, name) for name in ON_THE_COMMAND_LINE} | {"out": str(tmp_path)}
    form = dict.fromkeys(ON_THE_COMMAND_LINE, "@/etc/passwd") | {"with_scheduler": "true", "slots": "3"}
    vars(here.environment.parsed_options).update(form)
    preparing.prepare()
    assert here.options.slots == 3
    assert {name: getattr(here.options, name) for name in ON_THE_COMMAND_LINE} == kept
    assert here.environment.host == url


def test_a_token_file_is_read_once_where_it_was_given(url: str, tmp_path: Path) -> None:
    """Workers get the token itself: they may be on other machines, and must not be made to read a file."""
    file = tmp_path / "token"
    file.write_text("vxp_secret\n")
    here = context(url, client_token=f"@{file}")
    preparing = Preparing(here)
    preparing.fill_in()
    file.unlink()
    with pytest.raises(ConfigError):  # the fake scheduler has no session to check it
        preparing.prepare()
    assert here.environment.parsed_options.client_token == here.options.client_token == "vxp_secret"


def test_the_shape_sets_missing_options(url: str) -> None:
    here = context(url, shape="smoke", spawn_rate=3.0)
    Preparing(here).fill_in()
    parsed = here.environment.parsed_options
    assert (parsed.num_users, parsed.spawn_rate) == (10, 3.0)


def test_nodes_are_connected_before_the_shape_begins(url: str) -> None:
    here = context(url, nodes=7, num_users=5, spawn_rate=1.0, run_time=60)
    prepared = Preparing(here).prepare()
    assert (prepared.standing, prepared.shape.users(59), prepared.shape.users(60)) == (7, 5, None)
    assert here.nodes == 7 and here.seen is not None
    alone = context(url, nodes=0, num_users=5)
    assert Preparing(alone).prepare().standing == 0
    assert [one.part for one in alone.environment.user_classes] == ["session"]


def expected(here: Context) -> list[str]:
    return [f"{one.loaded} {one.bound.text}" for one in here.expectations]


def test_expectations_come_from_options_then_the_scenario_then_the_defaults(url: str, tmp_path: Path) -> None:
    """The notes name figures that a load run does not have."""
    file = tmp_path / "rush.toml"
    expect = """
    [expect]
    lost_jobs = "== 0"
    "result.p99" = "< 2 s"
    "wait_s.mean" = "< 0.5"
    "memory.rss" = "< 200 MB"
    """
    file.write_text(SCENARIO + expect)
    here = context(url, scenario=str(file), expect=["result.p99<200ms"], out=str(tmp_path))
    Preparing(here).prepare()
    assert expected(here) == [
        "failures <= 0 %", "other.failures <= 0 %", "jobs.lost == 0", "memory.rss < 200 MB", "result.p99 < 200 ms",
    ]  # fmt: skip
    assert here.notes == ["Not checked in this load run, which doesn't have the figure: wait_s.mean < 0.5."]
    plain = context(url, expect="failures<1%", out=str(tmp_path))
    Preparing(plain).prepare()
    assert expected(plain) == ["other.failures <= 0 %", "failures < 1 %"]
    dark = context(url, scenario=str(file), memory="off", out=str(tmp_path))
    Preparing(dark).prepare()
    assert "memory.rss < 200 MB" in dark.notes[0] and "memory.rss < 200 MB" not in expected(dark)


def test_a_scenario_has_its_duration(url: str, tmp_path: Path) -> None:
    file = tmp_path / "rush.toml"
    file.write_text(SCENARIO)
    here = context(url, scenario=str(file), num_users=5)
    prepared = Preparing(here).prepare()
    assert (prepared.standing, prepared.shape.run_time_s) == (4, 90)
    shorter = context(url, scenario=str(file), num_users=5, run_time=10)
    assert Preparing(shorter).prepare().shape.run_time_s == 10


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"slots": 0}, "--slots 0: must be at least 1"),
        ({"scenario": "no_such"}, "no_such"),
        ({"tags": ["foo"]}, "-T foo: there is no such tag"),
        ({"nodes": 0}, "no node: this load brings none, and the scheduler"),
        ({"expect": ["result.p9<1ms"]}, "no such figure; did you mean result.p99?"),
    ],
)
def test_a_test_that_cannot_start_says_why(given: dict[str, Any], says: str) -> None:
    pools = {"pools": [{"pair": "load:test", "nodes": 0}], "next_cursor": None}
    with fake_scheduler({**GOOD, "/v1/pools": pools}) as url, pytest.raises(ConfigError, match=re.escape(says)):
        Preparing(context(url, **given)).prepare()
