"""The plan of schedulers and Redis: the figures of docs/scale.md, its bounds, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from voxpool.scheduler.errors import ConfigError
from voxpool.sim.instances.capacity import BUSY_MAX, Plan, Wish, plan, plans, report
from voxpool.sim.instances.costs import SharedCosts, read_costs

ROOT = Path(__file__).resolve().parents[3]
COSTS = read_costs(ROOT / "docs" / "reports" / "shared-costs.toml")
WISH = Wish(1e6, 0.2, 4)


def test_the_table_of_the_page_is_the_plan_of_its_costs() -> None:
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    for wish, found in plans(WISH, COSTS):
        start = f"| {wish.jobs_per_s:,.0f} | {found.nodes:,} | {found.jobs} | {found.schedulers:,} |"
        redis = f" {found.shards:,} | {found.partitions:,} |" if found.shards else ""
        assert start + redis in page


def test_no_core_is_used_more_than_planned() -> None:
    for wish, found in plans(WISH._replace(jobs_per_s=1e5), COSTS):
        us = COSTS.memory_us if found.jobs == "memory" else COSTS.schedulers_us(found.elsewhere)
        assert wish.jobs_per_s * us / 1e6 <= BUSY_MAX * found.schedulers * 1.001


def test_more_than_one_cluster_can_carry_is_no_plan() -> None:
    found = report(WISH, COSTS, {})
    assert found.exit_code == 1 and any("split the pairs" in note for note in found.notes)
    assert report(WISH._replace(jobs_per_s=1e5), COSTS, {}).exit_code == 0


def test_cheaper_costs_need_fewer_of_each() -> None:
    cheap: SharedCosts = msgspec.structs.replace(
        COSTS, scheduler_us=60.0, both_us=120.0, own_us={"1": 60, "16": 15, "256": 12}, elsewhere_us=COSTS.own_us
    )
    found: Plan = plan(Wish(1e5, 0.2, 4), cheap)
    dear = plan(Wish(1e5, 0.2, 4), COSTS)
    assert found.schedulers < dear.schedulers and found.shards < dear.shards and found.nodes == dear.nodes


@pytest.mark.parametrize(("text", "message"), [("machine = 3", "machine"), ("", "machine")])
def test_a_file_that_is_no_costs_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "costs.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_costs(file)
