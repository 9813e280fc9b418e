"""`voxpool-sim policy --script FILE.lua`: a policy is compared with production's without any change of code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from voxpool.scheduler.errors import ConfigError
from voxpool.sim.experiments.experiment import Options
from voxpool.sim.experiments.policy import pictures
from voxpool.sim.experiments.policy.question import report_of, size_of
from voxpool.sim.experiments.policy.report import Results
from voxpool.sim.experiments.policy.runs import from_empty
from voxpool.sim.experiments.policy.script import PREFIX
from voxpool.sim.experiments.policy.size import PRODUCTION
from voxpool.sim.report.pictures import Curve

EXAMPLE = "examples/policies/first_free.lua"


def test_a_policy_in_a_file_is_in_the_table_and_in_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """At half load the first free node gets far more than its share; two choices spread the jobs."""
    size = size_of(Options(quick=True, extra={"script": EXAMPLE, "policies": "random"}))
    assert size.policies == ("random", PRODUCTION, PREFIX + EXAMPLE)
    size = replace(size, nodes=10, jobs=500, loads=(0.5,), long_loads=())
    found = [from_empty(size, policy, 0.5, [1], "memory", lambda share: None) for policy in size.policies]
    results = Results(found)
    lines = {line.name: line for line in report_of(Options(), size, ["C6"], results).lines}
    share = lines["share of the busiest node at 50% load, without: first_free"]
    assert isinstance(share.without, float) and isinstance(share.with_, float)
    assert share.without > 1.2 * share.with_
    assert lines["checkers broken at 50% load, without: first_free"].without == 0
    drawn: list[Curve] = []
    monkeypatch.setattr(pictures, "curves", lambda *args, **kwargs: drawn.extend(args[4]))
    pictures.share_picture(size, found)
    assert [curve.label for curve in drawn][:3] == ["random", "production", "first_free"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("return 1", "it has no `local function choose"),
        ("local function choose(pair) return end end", "'<eof>' expected|near 'end'"),
        (None, "No such file"),
    ],
)
def test_a_file_that_is_no_policy_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "own.lua"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        size_of(Options(extra={"script": str(path)}))
