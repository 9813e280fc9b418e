"""A scenario is typed data; an error is one line with the place and the nearest key."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from voxpool.scheduler.errors import ConfigError
from voxpool.sim.chance.distributions import Exponential
from voxpool.sim.cli.play import SCENARIOS, shortened
from voxpool.sim.scenario.scenario import load_scenario, parse_scenario

WHOLE = (SCENARIOS / "rush.toml").read_text()

WRONG = {
    "an unknown key": ("rate_per_s = 12.0", "rate = 12.0", "traffic[0] has no key 'rate'; did you mean rate_per_s?"),
    "a negative rate": ("rate_per_s = 12.0", "rate_per_s = -3", "traffic[0].rate_per_s = -3: must be at least 0"),
    "an unknown distribution": (
        '"exponential"',
        '"expnential"',
        "traffic[0].work_s.dist = 'expnential': did you mean exponential?",
    ),
    "no distribution": ('dist = "exponential", ', "", "traffic[0].work_s has no 'dist': one of "),
    "a wrong parameter": (
        "mean = 2.0 }\naudio",
        "meen = 2.0 }\naudio",
        "traffic[0].work_s has no key 'meen'; did you mean mean?",
    ),
    "a negative mean": (
        "mean = 2.0 }\naudio",
        "mean = -2.0 }\naudio",
        "traffic[0].work_s.mean = -2.0: must be at least 0",
    ),
    "an unknown setting": (
        "cleanup_interval_s",
        "cleanup_s",
        "[settings]: unknown setting cleanup_s; did you mean cleanup_interval_s?",
    ),
    "a setting out of bounds": ("cleanup_interval_s = 60", "cleanup_interval_s = -1", "cleanup_interval_s = -1"),
    "a wrong pair": (
        '"zh:en", "en:zh"',
        '"zhen"',
        "nodes[0].pairs[0] = 'zhen': must be source:target, such as zh:en",
    ),
    "a missing key": ("duration_s = 3600", "", "duration_s is missing"),
    "an unknown key on top": ("schedulers = 1", "scheduler = 1", "has no key 'scheduler'; did you mean schedulers?"),
    "several schedulers": (
        "schedulers = 1",
        "schedulers = 2",
        "schedulers = 2: jobs live in one scheduler's memory: use 1",
    ),
    "no time": ("duration_s = 3600", "duration_s = 0", "duration_s = 0: must be above 0"),
    "no end": ("duration_s = 3600", "duration_s = inf", "duration_s = inf: must be a finite number"),
    "no nodes": ("count = 40", "count = 0", "nodes[0].count = 0: must be at least 1"),
    "text for a number": (
        "slots = 2",
        'slots = "2"',
        "nodes[0].slots = '2': must be a whole number, and is a text",
    ),
    "an unknown fault": ('"node_crash"', '"node_crush"', "faults[0].kind = 'node_crush': did you mean node_crash?"),
    "a range turned round": (
        "lasts_s = [5, 60]",
        "lasts_s = [60, 5]",
        "faults[0].lasts_s = [60.0, 5.0]: the smaller number must come first",
    ),
    "a moment that lasts": (
        '"node_crash"',
        '"client_cancel"',
        "faults[0].lasts_s: a client_cancel has no duration; remove the key",
    ),
    "one end of a range": (
        "lasts_s = [5, 60]",
        "lasts_s = [5]",
        "faults[0].lasts_s = [5]: must have exactly 2 entries",
    ),
    "a negative rate of a fault": (
        "per_target_per_h = 4.0",
        "per_target_per_h = -4.0",
        "faults[0].per_target_per_h = -4.0: must be at least 0",
    ),
    "a fault with a rate and a time": (
        "per_target_per_h = 4.0",
        "per_target_per_h = 4.0\nat_s = 3.0",
        "faults[0]: give either per_target_per_h, the rate of a node_crash, or at_s, the time of one",
    ),
    "a fault with neither": ("per_target_per_h = 4.0", "", "faults[0]: give either per_target_per_h, the rate of"),
    "a target of faults at a rate": (
        "per_target_per_h = 4.0",
        'per_target_per_h = 4.0\ntarget = "gpu-1"',
        "faults[0].target: faults at a rate have random targets",
    ),
    "a wrong key of a fault": ("lasts_s = [5, 60]", "last_s = [5, 60]", "did you mean lasts_s?"),
    "an unknown figure": ("lost_jobs", "last_jobs", "[expect] last_jobs: no such figure; did you mean lost_jobs?"),
    "no comparison": ('lost_jobs = "== 0"', 'lost_jobs = "none"', "[expect] lost_jobs: limit 'none' is not understood"),
    "too long a warm-up": ("seed = 7", "seed = 7\nwarmup_s = 3600", "warmup_s = 3600 must be below duration_s"),
    "audio beyond its bound": ("mean = 32000", "mean = 32e6", "traffic[0].audio_bytes: a mean of 3.2e+07 is above"),
    "affinity without sessions": (
        "rate_per_s = 12.0",
        "rate_per_s = 12.0\naffinity = true",
        "traffic[0].affinity needs traffic[0].sessions",
    ),
    "broken TOML": ("[links]", "[links", "is not TOML: "),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_an_invalid_scenario_is_reported_in_one_line(wrong: tuple[str, str, str], tmp_path: Path) -> None:
    old, new, message = wrong
    assert old in WHOLE
    path = tmp_path / "wrong.toml"
    path.write_text(WHOLE.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_scenario(path)
    text = str(caught.value)
    assert message in text
    assert text.startswith(str(path))
    assert "\n" not in text


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: can't be read: No such file"):
        load_scenario(tmp_path / "none.toml")


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.toml")), ids=lambda path: path.stem)
def test_the_packaged_scenarios_can_be_read(path: Path) -> None:
    scenario = load_scenario(path)
    assert scenario.name == path.stem
    assert shortened(scenario).duration_s <= scenario.duration_s
    assert path.read_text().startswith("# "), "its first line says what it is, for `voxpool-sim list`"


def test_an_empirical_distribution_reads_its_file(tmp_path: Path) -> None:
    (tmp_path / "works.txt").write_text("1\n2\n3\n")
    table = tomllib.loads(WHOLE)
    table["traffic"][0]["work_s"] = {"dist": "empirical", "file": "works.txt"}
    work_s = parse_scenario(table, "rush.toml", tmp_path).traffic[0].work_s
    assert getattr(work_s, "values", None) == (1.0, 2.0, 3.0)
    (tmp_path / "works.txt").write_text("1\n-2\n")
    with pytest.raises(ConfigError, match="none below 0"):
        parse_scenario(table, "rush.toml", tmp_path)
    (tmp_path / "works.txt").unlink()
    with pytest.raises(ConfigError, match="can't be read"):
        parse_scenario(table, "rush.toml", tmp_path)


def test_a_plain_number_is_a_distribution_without_spread() -> None:
    table = tomllib.loads(WHOLE)
    table["links"] = {"delay_ms": 0}
    table["traffic"][0]["work_s"] = 2
    scenario = parse_scenario(table, "rush.toml")
    assert (scenario.links.delay_ms, scenario.traffic[0].work_s) == (0, 2)
    assert parse_scenario(tomllib.loads(WHOLE), "rush.toml").traffic[0].work_s == Exponential(2.0)
