"""Each alert of the rules fires at a webhook for a real fault, and resolves when the fault is healed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ops.rules import RULES
from tests.ops.faults import FAULTS
from tests.ops.live_alerts import NAMES, REPORT, play_all, put_into

OF_A_SLOW_MACHINE = {"VoxpoolDown", "VoxpoolLoopLag", "VoxpoolWaitP99"}
"""With scaled durations these alerts fire when a scheduler gets no CPU for some tenths of a second, as it happens here.
"""


def test_each_alert_has_a_fault_and_each_fault_an_alert() -> None:
    assert sorted(alert for fault in FAULTS for alert in fault.alerts) == sorted(NAMES)


def test_the_report_has_each_alert_and_keeps_its_other_sections() -> None:
    report = REPORT.read_text()
    section = report.partition("## Alerts\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| (Voxpool\w+)", section, re.MULTILINE) == NAMES
    assert put_into(report, section.strip("\n")) == report
    assert put_into("# A\n\n## Alerts\n\nold\n\n## B\n\nb\n", "new") == "# A\n\n## Alerts\n\nnew\n\n## B\n\nb\n"


@pytest.mark.early
@pytest.mark.timeout(400)
async def test_each_alert_fires_and_resolves(tmp_path: Path) -> None:
    """All faults are played at the same time, beside a healthy scheduler; only critical alerts page."""
    observed = await play_all(tmp_path)
    assert [(seen.alert, seen.receiver) for seen in observed.seen] == [
        (rule.name, f"voxpool-{rule.severity}") for rule in RULES
    ]
    assert all(seen.fired_s > 0 and seen.resolved_s > 0 for seen in observed.seen)
    assert observed.of_the_well_one <= OF_A_SLOW_MACHINE
