"""One grammar for [expect] and --expect: valid texts, errors in one line, and which command can check which figure."""

from __future__ import annotations

import pytest

from voxpool.scheduler.errors import ConfigError
from voxpool.sim.scenario.expect import (
    FIGURES,
    for_a_load_run,
    key_figure,
    not_simulated,
    parse_expectation,
    parse_expectations,
)


@pytest.mark.parametrize(
    ("text", "loaded", "limit"),
    [
        ("result.p99<200ms", "result.p99", "< 200 ms"),
        (" failures <= 0.1 % ", "failures", "<= 0.1 %"),
        ("failures<=0", "failures", "<= 0 %"),
        ("result.failures<1%", "failures", "< 1 %"),
        ("rate>90", "rate", "> 90 /s"),
        ("rate>=600/min", "rate", ">= 600 /min"),
        ("ws.submit.p99.9<=1s", "ws.submit.p99.9", "<= 1 s"),
        ("jobs.lost<1", "jobs.lost", "< 1"),
        ("lost_jobs == 0", "jobs.lost", "== 0"),
        ("jobs.rejected<5%", "jobs.rejected", "< 5 %"),
        ("sojourn_s.mean<0.5", "result.mean", "< 0.5 s"),
        ("memory.bytes_a_job<50", "memory.bytes_a_job", "< 50 B"),
        ("memory.rss<200MB", "memory.rss", "< 200 MB"),
        ("resident.jobs_end==0", "", "== 0"),
    ],
)
def test_valid_expectations(text: str, loaded: str, limit: str) -> None:
    found = parse_expectation(text)
    assert (found.loaded, found.bound.text) == (loaded, limit)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("result.p98<1ms", "result.p98: no such figure; did you mean result.p9"),
        ("WS submit.p99<1ms", "WS submit.p99: no such figure; did you mean ws.submit.p99?"),
        ("qwxz<1", "qwxz: no such figure; figures are such as result.p99, failures, rate and jobs.lost"),
        ("result.p99", "write FIGURE, a comparison (< <= > >=) and a limit, such as result.p99<200ms"),
        ("result.p99=1ms", "write FIGURE, a comparison"),
        ("100ms<result.p99<200ms", "write FIGURE, a comparison"),
        ("result.p99<200", "result.p99: limit '<200' has no unit: give one of ms, s, min"),
        ("failures<1", "failures: limit '<1' has no unit: give one of %"),
        ("failures<1ms", "failures: limit '<1ms' has a unit that doesn't fit the figure: its units are %"),
        ("failures<0%", "failures: limit '<0%': the figure is never below 0, write '<= 0' for none at all"),
        ("rate>fast", "rate: limit '>fast' is not understood: 'fast' is not a number"),
        ("rate==fast", "rate: limit '== fast' is not understood: 'fast' is not a number"),
    ],
)
def test_an_invalid_expectation_is_reported_in_one_line(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_expectation(text)
    assert str(refused.value).startswith(says) and "\n" not in str(refused.value)


def test_a_load_run_takes_its_own_figures_and_names_the_others() -> None:
    """A later expectation replaces an earlier one of the same figure, under either of its names."""
    defaults = [parse_expectation("failures<=0%"), parse_expectation("other.failures<=0%")]
    scenario = parse_expectations({"lost_jobs": "== 0", "sojourn_s.p99": "< 0.5", "resident.jobs_end": "== 0"})
    own = [parse_expectation("result.p99<200ms"), parse_expectation("failures<1%"), parse_expectation("failures>0.1%")]
    checked, left_out = for_a_load_run(defaults, scenario, own)
    assert [f"{one.loaded} {one.bound.text}" for one in checked] == [
        "other.failures <= 0 %",
        "jobs.lost == 0",
        "result.p99 < 200 ms",
        "failures < 1 %",
        "failures > 0.1 %",
    ]
    assert [one.name for one in left_out] == ["resident.jobs_end"]


def test_a_simulation_names_figures_that_only_a_load_run_has() -> None:
    expectations = parse_expectations({"submit.p95": "< 50 ms", "result.p99": "< 2 s", "failures": "<= 0"})
    assert [one.path for one in expectations] == ["", "sojourn_s.p99", "failures"]
    assert not_simulated(expectations) == ["Not checked, only a load run has the figure: submit.p95 < 50 ms."]


@pytest.mark.parametrize(
    ("name", "key", "figure"),
    [
        ("key.sparse.p99", "sparse", "p99"),
        ("key.a.p99.9", "a", "p99.9"),
        ("key.user-7.x.failures", "user-7.x", "failures"),
    ],
)
def test_a_key_has_figures_in_a_load_run(name: str, key: str, figure: str) -> None:
    expectation = parse_expectation(f"{name}<50%" if figure == "failures" else f"{name}<1.5s")
    assert (expectation.loaded, expectation.path, key_figure(name)) == (name, "", (key, figure))
    assert not_simulated([expectation])


@pytest.mark.parametrize("name", ["key.p99", "key..p99", "key.a.p98", "key.a/b.p99"])
def test_other_figures_of_keys_do_not_exist(name: str) -> None:
    with pytest.raises(ConfigError, match="no such figure"):
        parse_expectation(f"{name}<1s")


def test_every_figure_exists_in_a_command() -> None:
    assert all(figure.simulated or figure.loaded for figure in FIGURES.values())
    assert all(figure.loaded in ("", *FIGURES) for figure in FIGURES.values())
