"""`python -m voxpool.loadtest.compare_bench` on real processes:

two healthy schedulers, and a pair whose B is slower by half.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from voxpool.loadtest.compare_bench import main


@pytest.mark.large
@pytest.mark.alone
@pytest.mark.timeout(600)
def test_healthy_schedulers_are_no_worse_and_a_slow_one_is_found(tmp_path: Path) -> None:
    arguments = ["--pairs", "1", "--seconds", "75", "--slower", "0.5", "--out", str(tmp_path / "pairs")]
    found = CliRunner().invoke(main, arguments)
    assert found.exit_code == 0, found.output
    assert "same: 1 no worse, 0 worse, 0 unclear" in found.output
    assert "slower: 0 no worse, 1 worse, 0 unclear" in found.output
