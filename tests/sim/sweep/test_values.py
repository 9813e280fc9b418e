"""--set puts each combination of values into the scenario, and names what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sim.sweep.small import small
from voxpool.scheduler.errors import ConfigError
from voxpool.sim.sweep.values import variations


def test_each_combination_is_a_scenario(tmp_path: Path) -> None:
    options = ["nodes.0.count=2,4", "settings.order=submit,fair"]
    found = list(variations(small(tmp_path), options))
    assert [values for values, _ in found] == [
        {"nodes.0.count": count, "settings.order": order} for count in ("2", "4") for order in ("submit", "fair")
    ]
    assert [(each.nodes[0].count, each.settings["order"]) for _, each in found][2] == (4, "submit")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("nodes.0.count", "write PATH=V1,V2"),
        ("nodes.9.count=1", "the scenario has no '9' there"),
        ("name.first=x", "the scenario has no 'first' there"),
        ("nodes.0.cuont=1", "cuont"),
        ("nodes.0.count=many", "nodes"),
        ("duration_s=" + ",".join(["1"] * 1001), "at most 1,000"),
    ],
)
def test_a_wrong_option_is_one_line(tmp_path: Path, option: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        list(variations(small(tmp_path), [option]))
