"""The experiment `share` at a small size: who gets a pool that is too small for all."""

from __future__ import annotations

from collections import Counter

import pytest

from voxpool.sim.experiments.experiment import Options
from voxpool.sim.experiments.share.question import CASES, QUIET, Found, one_run, report_of
from voxpool.sim.report.report import WITH, WITHOUT, Outcome

SHORT_S = 90.0


def run(case: str) -> Found:
    return one_run(case, SHORT_S, 1, "memory", WITH, lambda _share: None)


def test_a_quiet_key_does_not_notice_a_flood() -> None:
    found = run("a flood and a sparse key")
    assert found.percentile_s("sparse", 99) <= 0.5 and found.lost_share("sparse") == 0
    assert found.percentile_s("loud", 50) > 5 and found.broken == 0


def test_weights_are_kept() -> None:
    found = run("weights 1, 2, 4")
    assert [found.started[key] / found.started["a"] for key in "abc"] == pytest.approx([1, 2, 4], rel=0.1)


def made_up(quiet_s: float, lost: int, weights: tuple[int, int, int]) -> dict[str, Found]:
    """Return what one side found: a wait and losses of the quiet keys, and the starts of three with weights."""
    found = {}
    for case, streams in CASES.items():
        each = found[case] = Found()
        for stream in streams:
            is_quiet = QUIET.get(case) == stream.key
            each.made[stream.key] = 100
            each.completed[stream.key] = 100 - lost if is_quiet else 80
            each.waits_s[stream.key] = [quiet_s if is_quiet else 50.0]
            each.started[stream.key] = 100
        if case not in QUIET:
            each.started = Counter(dict(zip("abc", weights, strict=True)))
    return found


@pytest.mark.parametrize(
    ("quiet_s", "lost", "weights", "outcome"),
    [
        (0.3, 0, (100, 200, 400), Outcome.HOLDS),
        (0.6, 0, (100, 200, 400), Outcome.BROKEN),
        (0.3, 1, (100, 200, 400), Outcome.BROKEN),
        (0.3, 0, (100, 150, 400), Outcome.BROKEN),
    ],
    ids=["fair", "late", "refused", "not by weight"],
)
def test_the_report_judges(quiet_s: float, lost: int, weights: tuple[int, int, int], outcome: Outcome) -> None:
    without = {f"{WITHOUT} {case}": each for case, each in made_up(50.0, 20, (100, 100, 100)).items()}
    with_ = {f"{WITH} {case}": each for case, each in made_up(quiet_s, lost, weights).items()}
    report = report_of(Options(), SHORT_S, {**without, **with_})
    assert report.outcome is outcome
    (picture,) = (draw() for draw in report.pictures)
    assert "sparse" in picture.svg
