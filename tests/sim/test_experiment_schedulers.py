"""The experiment `schedulers`: what its checkers say of a planted bug, and of a cluster."""

from __future__ import annotations

import random

import pytest

from tests.sim.row_checks import TINY
from voxpool.scheduler.errors import StoreUnavailable
from voxpool.scheduler.shared.partition import calls
from voxpool.scheduler.stores.script_sources import JOBS, load_sources
from voxpool.sim.experiments.schedulers import crossing
from voxpool.sim.experiments.schedulers.clustered import ClusteredStore, with_keys, without_keys
from voxpool.sim.experiments.schedulers.question import ROWS
from voxpool.sim.experiments.schedulers.without.scripts import changed

ROW = calls.Submit("0.r", "en:fr", False, 0, 3, 0, "content", "", "", "")
SUBMIT = calls.submit("a", 1, 0, 60_000, calls.Bounds(9, 9, 9), [ROW])


def test_a_result_that_is_told_to_nobody_ends_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the results of the other scheduler do not come back to the one of the client."""
    deaf = changed("_ends", "tell(batch, one, 'end', id", "tell(batch, '', 'end', id")
    monkeypatch.setattr(crossing, "cancels_before_it_checks", lambda: deaf)
    (scenario,) = ROWS.chosen(["R8"])
    figures = scenario.play(TINY, 1, "memory", "without")
    assert figures["never_end"] == TINY.jobs // 2 and figures["cancelled"] == 0


def test_a_key_of_another_partition_is_refused() -> None:
    """Planted: a script of production reads a key that it has not declared."""
    other = JOBS.keys(1)[0]
    strange = changed("submit", "be_member(batch)\n", f"be_member(batch)\ncall('HGET', '{other}', 'x')\n")
    planted = ClusteredStore(0, strange, True, random.Random(1))
    with pytest.raises(StoreUnavailable, match="non local key"):
        planted.run(SUBMIT)
    assert (planted.calls, planted.failed) == (1, 1)


def test_on_a_cluster_declared_keys_decide_the_server() -> None:
    for number in range(4):
        assert with_keys(number, random.Random(1)).run(SUBMIT) == ["WAIT", ""]
        refuses = without_keys(number, random.Random(1))
        for _ in range(8):
            with pytest.raises(StoreUnavailable, match="non local key"):
                refuses.run(SUBMIT)


def test_all_scripts_of_the_model_are_those_of_production() -> None:
    assert with_keys(0, random.Random(1))._scripts == set(load_sources(JOBS.folder))
