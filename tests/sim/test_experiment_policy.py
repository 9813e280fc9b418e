"""The experiment `policy` at a small size: the result of each side, and cases without evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from voxpool.scheduler.errors import ConfigError
from voxpool.sim.experiments.experiment import Options
from voxpool.sim.experiments.policy.nodes import TWO_CHOICES, Figures, affinity, failing
from voxpool.sim.experiments.policy.question import EXPERIMENT, report_of, size_of
from voxpool.sim.experiments.policy.report import Results, lines_of
from voxpool.sim.experiments.policy.runs import Found, from_empty, long_run
from voxpool.sim.experiments.policy.size import FULL, NORMAL, PRODUCTION, Size
from voxpool.sim.report.report import WITH, WITHOUT, Outcome

SMALL = Size(
    nodes=20, loads=(0.9,), policies=("random", "two/exact", "two/15", "least/15", PRODUCTION), jobs=5_000,
    part=0.35, zero_s=0.6, long_jobs=12_000, longest_jobs=12_000, long_loads=(0.7,), theory_part=0.15,
    affinity_s=60.0, failing_s=45.0,
)  # fmt: skip
SEED = 2


def nobody(_: float) -> None:
    """Ignore the progress."""


@pytest.fixture(scope="module")
def results() -> Results:
    pair_sides, failing_sides = (WITHOUT, WITH), (WITHOUT, TWO_CHOICES, WITH)
    return Results(
        [from_empty(SMALL, policy, 0.9, [SEED], "memory", nobody) for policy in SMALL.policies],
        [long_run(SMALL, policy, 0.7, SEED, "memory", nobody) for policy in SMALL.long_policies],
        {side: affinity(SMALL, SEED, "memory", side, nobody) for side in pair_sides},
        {side: failing(SMALL, SEED, "memory", side, nobody) for side in failing_sides},
    )


def outcome(results: Results, row: str, variant: str = "both") -> Outcome:
    options = Options(variant=variant)  # type: ignore[arg-type]
    return report_of(options, SMALL, [row], results).outcome


def mean_s(results: Results, policy: str) -> float:
    found = results.of(policy, 0.9)
    assert found is not None
    return found.mean_s


def test_old_reports_make_the_least_loaded_worse_than_random(results: Results) -> None:
    """This is the herd effect: until the next report all jobs go to the few nodes that looked idle in the last one."""
    order = [PRODUCTION, "two/exact", "two/15", "random", "least/15"]
    means = [mean_s(results, policy) for policy in order]
    assert means == sorted(means)
    assert mean_s(results, "least/15") > 1.5 * mean_s(results, "random")


def test_the_whole_report_holds(results: Results) -> None:
    found = report_of(Options(), SMALL, list(EXPERIMENT.rows), results)
    assert found.outcome is Outcome.HOLDS, [check for check in found.checks if not check.ok]
    curves = found.as_dict()["curves"]
    assert [one["policy"] for one in curves["from_empty"]] == list(SMALL.policies)
    assert curves["long_runs"][0]["means_s"] == [results.long[0].mean_s]
    assert [draw().name for draw in found.pictures] == ["policy_mean_wait", "policy_p99_wait", "policy_share"]


@pytest.mark.parametrize("row", ["C6", "C7", "C8"])
def test_without_alone_is_broken_and_with_alone_holds(results: Results, row: str) -> None:
    def only(is_production: bool, side: str) -> Results:
        def own(runs: list[Found]) -> list[Found]:
            return [found for found in runs if (found.policy == PRODUCTION) is is_production]

        def of_side(sides: Mapping[str, Figures]) -> dict[str, Figures]:
            return {name: figures for name, figures in sides.items() if name.split(",")[0] == side}

        return Results(
            own(list(results.empty)), own(list(results.long)), of_side(results.affinity), of_side(results.failing)
        )

    assert outcome(only(True, WITH), row, "with") is Outcome.HOLDS
    assert outcome(only(False, WITHOUT), row, "without") is Outcome.BROKEN


def changed(results: Results, policy: str, **figures: float) -> Results:
    """Return the results with other figures of one policy."""
    empty = [replace(one, **figures) if one.policy == policy else one for one in results.empty]  # type: ignore[arg-type]
    long = [replace(one, **figures) if one.policy == policy else one for one in results.long]  # type: ignore[arg-type]
    return replace(results, empty=empty, long=long)


def test_production_with_the_waits_of_a_blind_choice_is_broken(results: Results) -> None:
    assert outcome(changed(results, PRODUCTION, mean_s=mean_s(results, "two/exact")), "C6") is Outcome.BROKEN
    assert outcome(changed(results, PRODUCTION, p99_s=60.0), "C6") is Outcome.BROKEN
    assert outcome(changed(results, PRODUCTION, off_s=0.1), "C6") is Outcome.BROKEN


@pytest.mark.parametrize("policy", ["random", "two/exact", "two/15", "least/15"])
def test_a_blind_choice_with_the_waits_of_production_proves_nothing(results: Results, policy: str) -> None:
    assert outcome(changed(results, policy, mean_s=0.0001), "C6") is Outcome.UNCLEAR


def test_a_broken_checker_is_reported(results: Results) -> None:
    assert outcome(changed(results, PRODUCTION, broken=["one"]), "C6") is Outcome.BROKEN  # type: ignore[arg-type]
    assert outcome(changed(results, "random", broken=["one"]), "C6") is Outcome.UNCLEAR  # type: ignore[arg-type]


def test_exchanged_sides_of_the_rows_about_nodes_are_found(results: Results) -> None:
    pair, spoiled = results.affinity, results.failing
    assert outcome(replace(results, affinity={**pair, WITH: pair[WITHOUT]}), "C7") is Outcome.BROKEN
    assert outcome(replace(results, affinity={**pair, WITHOUT: pair[WITH]}), "C7") is Outcome.UNCLEAR
    for side in (WITHOUT, TWO_CHOICES):
        assert outcome(replace(results, failing={**spoiled, WITH: spoiled[side]}), "C8") is Outcome.BROKEN
        assert outcome(replace(results, failing={**spoiled, side: spoiled[WITH]}), "C8") is Outcome.UNCLEAR


def test_a_load_outside_the_catalogue_has_a_limit_for_production(results: Results) -> None:
    size = replace(SMALL, loads=(0.8,))
    moved = [replace(found, load=0.8) for found in results.empty]
    (line,) = (line for line in lines_of("C6", size, Results(moved)) if "mean wait at 80%" in line.name)
    assert (line.with_, line.shows) == (mean_s(results, PRODUCTION), "")
    assert line.kept() is True


def test_production_starts_every_job_when_the_central_queue_would(results: Results) -> None:
    (long,) = (found for found in results.long if found.policy == PRODUCTION)
    assert long.off_s is not None
    assert long.off_s < 1e-6


def test_a_failing_node_rests_after_five_in_a_row(results: Results) -> None:
    """In 45 s there are two rounds of five: at the start, and when its rest of 30 s is over."""
    assert results.failing[WITH]["spoiled"] == 10


def test_the_same_seed_gives_the_same_figures() -> None:
    tiny = replace(SMALL, jobs=300)
    runs = [from_empty(tiny, "least/15", 0.9, [7, 8], "memory", nobody) for _ in range(2)]
    assert replace(runs[0], wall_s=0.0) == replace(runs[1], wall_s=0.0)
    assert len(runs[0].means_s) == 2


def test_the_options_of_policy() -> None:
    assert size_of(Options()) is NORMAL
    assert size_of(Options(extra={"full": True})) is FULL
    chosen = size_of(Options(extra={"loads": "0.9,0.6", "policies": "least/15,random"}))
    assert (chosen.loads, chosen.long_loads) == ((0.6, 0.9), ())
    assert chosen.policies == ("random", "least/15", PRODUCTION)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"loads": "0.5,1"}, "a load must be between 0 and 1"),
        ({"loads": "high"}, "must be comma-separated numbers"),
        ({"policies": "two/16"}, "did you mean two/15"),
    ],
)
def test_invalid_options_of_policy_have_a_message(extra: dict[str, str | bool], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EXPERIMENT.run(Options(extra=extra))
